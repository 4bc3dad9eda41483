"""GPT-NeoX: Pythia, RedPajama-INCITE, StableLM alpha."""

from __future__ import annotations

from toolkit.memory.architecture import parts
from toolkit.memory.architecture.config import Config
from toolkit.memory.architecture.decoder import split, turned_width
from toolkit.memory.architecture.heads import Body, Head
from toolkit.memory.architecture.heads import decoder as with_head
from toolkit.memory.architecture.model import Architecture, Attention, FeedForward, LayerKind

GPT_NEOX_DEFAULTS = {
    "vocab_size": 50432,
    "hidden_size": 6144,
    "intermediate_size": 24576,
    "num_hidden_layers": 44,
    "num_attention_heads": 64,
    "hidden_act": "gelu",
    "max_position_embeddings": 2048,
    "attention_bias": True,
    "use_parallel_residual": True,
    "tie_word_embeddings": False,
    "rotary_pct": 0.25,
}


def gpt_neox(config: Config, head: Head) -> Architecture:
    """One projection for q, k and v; attention and feed-forward in parallel unless the config says not."""
    hidden, inner = config.size("hidden_size"), config.size("intermediate_size")
    heads, vocabulary = config.heads("num_attention_heads"), config.size("vocab_size")
    head_dim, bias = split(config, hidden, heads), config.flag("attention_bias")
    count = config.layers("num_hidden_layers")
    layers = parts.layer_names(0, count)
    modules = (
        parts.embedding("embed_in", vocabulary, hidden),
        parts.layer_norm("layers.{}.input_layernorm", hidden, layers),
        parts.layer_norm("layers.{}.post_attention_layernorm", hidden, layers),
        parts.linear("layers.{}.attention.query_key_value", hidden, 3 * hidden, layers, bias=bias),
        parts.linear("layers.{}.attention.dense", hidden, hidden, layers, bias=bias),
        parts.linear("layers.{}.mlp.dense_h_to_4h", hidden, inner, layers, bias=True),
        parts.linear("layers.{}.mlp.dense_4h_to_h", inner, hidden, layers, bias=True),
        parts.layer_norm("final_layer_norm", hidden),
    )
    kind = LayerKind(
        count,
        Attention(
            heads,
            heads,
            head_dim,
            head_dim,
            rope_dim=turned_width(config, "rotary_pct", head_dim),
            dropout=config.share("attention_dropout"),
        ),
        FeedForward(inner, gated=False, activation=config.word("hidden_act")),
        norm="layer",
        parallel_residual=config.flag("use_parallel_residual"),
        dropout=config.share("hidden_dropout"),
    )
    positions = config.optional_size("max_position_embeddings")
    body = Body(modules, (kind,), hidden, vocabulary, "gpt_neox", positions)
    return with_head(config, head, body, tagger="classifier")
