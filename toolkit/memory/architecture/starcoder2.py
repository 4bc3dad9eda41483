"""StarCoder 2: LayerNorms, biases everywhere, a feed-forward without a gate."""

from __future__ import annotations

from toolkit.memory.architecture import parts
from toolkit.memory.architecture.config import Config
from toolkit.memory.architecture.decoder import dimensions, layer_kinds, projections, stacked
from toolkit.memory.architecture.heads import Head
from toolkit.memory.architecture.model import Architecture, FeedForward

STARCODER2_DEFAULTS = {
    "vocab_size": 49152,
    "hidden_size": 3072,
    "intermediate_size": 12288,
    "num_hidden_layers": 30,
    "num_attention_heads": 24,
    "num_key_value_heads": 2,
    "hidden_act": "gelu_pytorch_tanh",
    "max_position_embeddings": 4096,
    "use_bias": True,
    "tie_word_embeddings": True,
}


def starcoder2(config: Config, head: Head) -> Architecture:
    """StarCoder 2 3B, 7B and 15B: the window, where there is one, is that of every layer."""
    d = dimensions(config)
    bias = config.flag("use_bias")
    inner = (
        *projections("layers.{}.self_attn", d, d.indices, bias=bias, output_bias=bias),
        parts.linear("layers.{}.mlp.c_fc", d.hidden, d.intermediate, d.indices, bias=bias),
        parts.linear("layers.{}.mlp.c_proj", d.intermediate, d.hidden, d.indices, bias=bias),
        parts.layer_norm("layers.{}.input_layernorm", d.hidden, d.indices),
        parts.layer_norm("layers.{}.post_attention_layernorm", d.hidden, d.indices),
    )
    windows = (config.optional_size("sliding_window"),) * d.layers
    feed_forward = FeedForward(d.intermediate, gated=False, activation=config.word("hidden_act"))
    dropout = config.share("residual_dropout")
    kinds = layer_kinds(config, d, windows, feed_forward, norm="layer", dropout=dropout)
    last, embedded = parts.layer_norm("norm", d.hidden), config.share("embedding_dropout")
    return stacked(config, head, d, inner, kinds, last, embedding_dropout=embedded)
