"""OLMoE: a mixture in every layer, and norms over all of the queries and over all of the keys.

Source: transformers 5.23 modeling_olmoe.py and configuration_olmoe.py.
"""

from __future__ import annotations

from toolkit.memory.architecture import parts
from toolkit.memory.architecture.config import Config
from toolkit.memory.architecture.decoder import dimensions, layer_kinds, projections
from toolkit.memory.architecture.heads import Body, Head
from toolkit.memory.architecture.heads import decoder as with_head
from toolkit.memory.architecture.llama import LLAMA_DEFAULTS, surrounding_norms
from toolkit.memory.architecture.mixture import chosen_experts, routed
from toolkit.memory.architecture.model import Architecture, FeedForward

OLMOE_DEFAULTS = {
    **LLAMA_DEFAULTS,
    "vocab_size": 50304,
    "hidden_size": 2048,
    "intermediate_size": 2048,
    "num_hidden_layers": 16,
    "num_attention_heads": 16,
    "max_position_embeddings": 4096,
    "num_experts_per_tok": 8,
    "num_experts": 64,
}


def olmoe(config: Config, head: Head) -> Architecture:
    """OLMoE 1B-7B."""
    if config.value("clip_qkv") is not None:
        raise config.refuse("no formula for queries, keys and values that are clipped (clip_qkv) yet")
    d = dimensions(config)
    bias = config.flag("attention_bias")
    experts = config.experts("num_experts")
    attention = "layers.{}.self_attn"
    modules = (
        parts.embedding("embed_tokens", d.vocabulary, d.hidden),
        *projections(attention, d, d.indices, bias=bias, output_bias=bias),
        parts.norm(f"{attention}.q_norm", d.hidden, d.indices),
        parts.norm(f"{attention}.k_norm", d.key_value_heads * (d.hidden // d.heads), d.indices),
        *routed(experts, d.hidden, d.intermediate, d.indices),
        *surrounding_norms(d),
        parts.norm("norm", d.hidden),
    )
    feed_forward = FeedForward(
        d.intermediate, True, config.word("hidden_act"), experts, chosen_experts(config, experts)
    )
    layers = layer_kinds(config, d, (None,) * d.layers, feed_forward, query_norm=True)
    return with_head(config, head, Body(modules, layers, d.hidden, d.vocabulary, "model", d.max_positions))
