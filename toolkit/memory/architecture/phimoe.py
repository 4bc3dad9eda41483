"""Phi-3.5-MoE: LLaMA's layers with LayerNorms and a mixture, whose routers are linears.

Source: transformers 5.23 modeling_phimoe.py and configuration_phimoe.py.
"""

from __future__ import annotations

from toolkit.memory.architecture import parts
from toolkit.memory.architecture.config import Config
from toolkit.memory.architecture.decoder import dimensions, layer_kinds, projections
from toolkit.memory.architecture.heads import Body, Head
from toolkit.memory.architecture.heads import decoder as with_head
from toolkit.memory.architecture.llama import LLAMA_DEFAULTS
from toolkit.memory.architecture.mixture import chosen_experts, fused_experts
from toolkit.memory.architecture.model import Architecture, FeedForward

FAMILY = "phimoe"

PHIMOE_DEFAULTS = {
    **LLAMA_DEFAULTS,
    "vocab_size": 32064,
    "intermediate_size": 6400,
    "num_key_value_heads": 8,
    "max_position_embeddings": 131072,
    "num_experts_per_tok": 2,
    "num_local_experts": 16,
}


def phimoe(config: Config, head: Head) -> Architecture:
    """A mixture in every layer; two experts take every token."""
    d = dimensions(config)
    experts, bias = config.experts("num_local_experts"), config.flag("attention_bias")
    if config.value("input_jitter_noise"):
        raise config.refuse("no formula for noise on what experts are given")
    modules = (
        parts.embedding("embed_tokens", d.vocabulary, d.hidden),
        *projections("layers.{}.self_attn", d, d.indices, bias=bias, output_bias=bias),
        parts.linear("layers.{}.mlp.router", d.hidden, experts, d.indices, quantized=False),
        fused_experts("layers.{}.mlp.experts", experts, d.hidden, d.intermediate, d.indices),
        *(
            parts.layer_norm(f"layers.{{}}.{name}", d.hidden, d.indices)
            for name in ("input_layernorm", "post_attention_layernorm")
        ),
        parts.layer_norm("norm", d.hidden),
    )
    chosen = chosen_experts(config, experts)
    feed_forward = FeedForward(d.intermediate, True, config.word("hidden_act"), experts, chosen)
    window = config.optional_size("sliding_window")
    layers = layer_kinds(config, d, (window,) * d.layers, feed_forward, norm="layer")
    body = Body(modules, layers, d.hidden, d.vocabulary, "model", d.max_positions)
    return with_head(config, head, body, head_bias=config.flag("lm_head_bias"))
