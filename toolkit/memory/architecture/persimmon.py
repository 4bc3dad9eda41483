"""Persimmon and Fuyu's text model: one projection for q, k and v of each head, LayerNorms, biases everywhere."""

from __future__ import annotations

from dataclasses import replace

from toolkit.memory.architecture import parts
from toolkit.memory.architecture.config import Config
from toolkit.memory.architecture.decoder import dimensions, layer_kinds, split, stacked
from toolkit.memory.architecture.heads import Head
from toolkit.memory.architecture.model import Architecture, FeedForward

PERSIMMON_DEFAULTS = {
    "vocab_size": 262144,
    "hidden_size": 4096,
    "intermediate_size": 16384,
    "num_hidden_layers": 36,
    "num_attention_heads": 64,
    "hidden_act": "relu2",
    "max_position_embeddings": 16384,
    "qk_layernorm": True,
    "tie_word_embeddings": False,
    "partial_rotary_factor": 0.5,
}

_ATTENTION, _MLP = "layers.{}.self_attn", "layers.{}.mlp"


def persimmon(config: Config, head: Head) -> Architecture:
    """Persimmon 8B; each head has keys and values of its own, whatever the config says."""
    d = dimensions(config)
    d = replace(d, key_value_heads=d.heads, head_dim=split(config, d.hidden, d.heads))
    if config.share("hidden_dropout"):
        raise config.refuse("dropout of the feed-forward alone (hidden_dropout) is not covered")
    query_norm = config.flag("qk_layernorm")
    inner = (
        parts.linear(f"{_ATTENTION}.query_key_value", d.hidden, 3 * d.hidden, d.indices, bias=True),
        parts.linear(f"{_ATTENTION}.dense", d.hidden, d.hidden, d.indices, bias=True),
        *(
            parts.layer_norm(f"{_ATTENTION}.{name}", d.head_dim, d.indices)
            for name in (("q_layernorm", "k_layernorm") if query_norm else ())
        ),
        parts.linear(f"{_MLP}.dense_h_to_4h", d.hidden, d.intermediate, d.indices, bias=True),
        parts.linear(f"{_MLP}.dense_4h_to_h", d.intermediate, d.hidden, d.indices, bias=True),
        parts.layer_norm("layers.{}.input_layernorm", d.hidden, d.indices),
        parts.layer_norm("layers.{}.post_attention_layernorm", d.hidden, d.indices),
    )
    feed_forward = FeedForward(d.intermediate, gated=False, activation=config.word("hidden_act"))
    kinds = layer_kinds(config, d, (None,) * d.layers, feed_forward, norm="layer", query_norm=query_norm)
    return stacked(config, head, d, inner, kinds, parts.layer_norm("final_layernorm", d.hidden))
