"""MiniMax M2: a mixture in every layer, heads turned in part, norms over all of the queries and over all of the keys.

Source: transformers 5.23 modeling_minimax_m2.py and configuration_minimax_m2.py. Its makers' configs say `rotary_dim`.
"""

from __future__ import annotations

from dataclasses import replace

from toolkit.memory.architecture import parts
from toolkit.memory.architecture.config import Config
from toolkit.memory.architecture.decoder import dimensions, layer_kinds, projections
from toolkit.memory.architecture.heads import Body, Head
from toolkit.memory.architecture.heads import decoder as with_head
from toolkit.memory.architecture.llama import LLAMA_DEFAULTS, surrounding_norms
from toolkit.memory.architecture.mixture import chosen_experts, routed
from toolkit.memory.architecture.model import Architecture, FeedForward

MINIMAX_M2_DEFAULTS = {
    **LLAMA_DEFAULTS,
    "vocab_size": 200064,
    "hidden_size": 3072,
    "intermediate_size": 1536,
    "num_hidden_layers": 62,
    "num_attention_heads": 48,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "max_position_embeddings": 196608,
    "num_experts_per_tok": 8,
    "num_local_experts": 256,
}


def minimax_m2(config: Config, head: Head) -> Architecture:
    """MiniMax M2 and M2.1; transformers does not build the layers that predict several tokens."""
    d = dimensions(config)
    experts = config.experts("num_local_experts")
    attention = "layers.{}.self_attn"
    modules = (
        parts.embedding("embed_tokens", d.vocabulary, d.hidden),
        *projections(attention, d, d.indices),
        parts.norm(f"{attention}.q_norm", d.heads * d.head_dim, d.indices),
        parts.norm(f"{attention}.k_norm", d.key_value_heads * d.head_dim, d.indices),
        *routed(experts, d.hidden, d.intermediate, d.indices),
        *surrounding_norms(d),
        parts.norm("norm", d.hidden),
    )
    feed_forward = FeedForward(
        d.intermediate, True, config.word("hidden_act"), experts, chosen_experts(config, experts)
    )
    layers = layer_kinds(config, d, (None,) * d.layers, feed_forward, query_norm=True)
    turned = config.optional_size("rotary_dim")
    if turned is not None:
        layers = tuple(replace(kind, attention=replace(kind.attention, rope_dim=turned)) for kind in layers)
    return with_head(config, head, Body(modules, layers, d.hidden, d.vocabulary, "model", d.max_positions))
