"""Qwen1.5-MoE and Qwen2-57B: a mixture of small experts, beside one that every token passes through, by a gate.

Source: transformers 5.23 modeling_qwen2_moe.py and configuration_qwen2_moe.py.
"""

from __future__ import annotations

from toolkit.memory.architecture import parts
from toolkit.memory.architecture.config import Config
from toolkit.memory.architecture.decoder import (
    FULL,
    SLIDING,
    dimensions,
    gated,
    layer_kinds,
    layer_windows,
    projections,
)
from toolkit.memory.architecture.heads import Body, Head
from toolkit.memory.architecture.heads import decoder as with_head
from toolkit.memory.architecture.llama import LLAMA_DEFAULTS, surrounding_norms
from toolkit.memory.architecture.mixture import chosen_experts, routed, sparse_and_dense
from toolkit.memory.architecture.model import Architecture, FeedForward, Module

QWEN2_MOE_DEFAULTS = {
    **LLAMA_DEFAULTS,
    "vocab_size": 151936,
    "hidden_size": 2048,
    "intermediate_size": 5632,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "num_key_value_heads": 16,
    "max_position_embeddings": 32768,
    "sliding_window": 4096,
    "max_window_layers": 28,
    "decoder_sparse_step": 1,
    "moe_intermediate_size": 1408,
    "shared_expert_intermediate_size": 5632,
    "num_experts_per_tok": 4,
    "num_experts": 60,
    "qkv_bias": True,
}


def qwen2_moe(config: Config, head: Head) -> Architecture:
    """A mixture in the layers that `decoder_sparse_step` and `mlp_only_layers` leave to it."""
    d = dimensions(config)
    experts, width = config.experts("num_experts"), config.size("moe_intermediate_size")
    shared = config.size("shared_expert_intermediate_size")
    sparse, dense = sparse_and_dense(config, d.layers)
    modules = (
        parts.embedding("embed_tokens", d.vocabulary, d.hidden),
        *projections("layers.{}.self_attn", d, d.indices, bias=config.flag("qkv_bias")),
        *(gated("layers.{}.mlp", d.hidden, d.intermediate, dense) if dense else ()),
        *routed(experts, d.hidden, width, sparse),
        *(shared_expert(d.hidden, shared, sparse) if sparse else ()),
        *surrounding_norms(d),
        parts.norm("norm", d.hidden),
    )
    activation = config.word("hidden_act")
    mixed = FeedForward(width, True, activation, experts, chosen_experts(config, experts), shared)
    plain = FeedForward(d.intermediate, True, activation)
    in_mixture = set(sparse)
    feed_forwards = tuple(mixed if index in in_mixture else plain for index in d.indices)
    layers = layer_kinds(config, d, _windows(config, d.layers), feed_forwards)
    return with_head(config, head, Body(modules, layers, d.hidden, d.vocabulary, "model", d.max_positions))


def shared_expert(hidden: int, intermediate: int, layers: tuple[str, ...]) -> tuple[Module, ...]:
    """The expert that every token passes through, and the linear of its gate."""
    return (
        *gated("layers.{}.mlp.shared_expert", hidden, intermediate, layers),
        parts.linear("layers.{}.mlp.shared_expert_gate", hidden, 1, layers),
    )


def _windows(config: Config, layers: int) -> tuple[int | None, ...]:
    """With `use_sliding_window` every other layer of the first `max_window_layers` has a window."""
    if not config.flag("use_sliding_window"):
        return (None,) * layers
    until = config.whole("max_window_layers", 0, 1 << 20)
    pattern = tuple(SLIDING if index < until and index % 2 == 0 else FULL for index in range(layers))
    return layer_windows(config, layers, pattern)
