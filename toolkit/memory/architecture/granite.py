"""Granite of IBM: LLaMA's shape with factors that are no parameters, dense or with a mixture in every layer.

Source: transformers 5.23 modeling_granite.py and modeling_granitemoe.py. Embeddings, the results of attention and
feed-forward, and logits are each multiplied by a number of the config, whatever it is.
"""

from __future__ import annotations

from toolkit.memory.architecture import parts
from toolkit.memory.architecture.config import Config
from toolkit.memory.architecture.decoder import dimensions, layer_kinds, projections
from toolkit.memory.architecture.heads import Body, Head
from toolkit.memory.architecture.heads import decoder as with_head
from toolkit.memory.architecture.llama import LLAMA_DEFAULTS, surrounding_norms
from toolkit.memory.architecture.mixture import chosen_experts, fused_experts, router
from toolkit.memory.architecture.model import Architecture, FeedForward

GRANITE_DEFAULTS = LLAMA_DEFAULTS
GRANITE_MOE_DEFAULTS = {**LLAMA_DEFAULTS, "num_local_experts": 8, "num_experts_per_tok": 2}


def granite_moe(config: Config, head: Head) -> Architecture:
    """Granite 3 and PowerMoE: a mixture in every layer, no window."""
    d = dimensions(config)
    bias = config.flag("attention_bias")
    experts = config.experts("num_local_experts")
    modules = (
        parts.embedding("embed_tokens", d.vocabulary, d.hidden),
        *projections("layers.{}.self_attn", d, d.indices, bias=bias, output_bias=bias),
        *surrounding_norms(d),
        router("layers.{}.block_sparse_moe.router", experts, d.hidden, d.indices),
        fused_experts("layers.{}.block_sparse_moe.experts", experts, d.hidden, d.intermediate, d.indices),
        parts.norm("norm", d.hidden),
    )
    feed_forward = FeedForward(
        d.intermediate, True, config.word("hidden_act"), experts, chosen_experts(config, experts)
    )
    layers = layer_kinds(config, d, (None,) * d.layers, feed_forward)
    body = Body(modules, layers, d.hidden, d.vocabulary, "model", d.max_positions)
    return with_head(config, head, body)
