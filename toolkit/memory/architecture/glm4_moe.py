"""GLM 4.5 and 4.6: grouped-query attention whose heads are turned in part, and DeepSeek's mixture.

Source: transformers 5.23 modeling_glm4_moe.py and configuration_glm4_moe.py. The layers that predict several tokens are
built only where generation asks for them, and are no part of it.
"""

from __future__ import annotations

from toolkit.memory.architecture import parts
from toolkit.memory.architecture.config import MAX_LAYERS, Config
from toolkit.memory.architecture.decoder import dimensions, gated, layer_kinds, order_of, projections, query_key_norms
from toolkit.memory.architecture.heads import Body, Head
from toolkit.memory.architecture.heads import decoder as with_head
from toolkit.memory.architecture.llama import LLAMA_DEFAULTS, surrounding_norms
from toolkit.memory.architecture.mixture import chosen_experts, routed
from toolkit.memory.architecture.model import Architecture, FeedForward

GLM4_MOE_DEFAULTS = {
    **LLAMA_DEFAULTS,
    "vocab_size": 151552,
    "intermediate_size": 10944,
    "num_hidden_layers": 46,
    "num_attention_heads": 96,
    "num_key_value_heads": 8,
    "max_position_embeddings": 131072,
    "partial_rotary_factor": 0.5,
    "moe_intermediate_size": 1408,
    "num_experts_per_tok": 8,
    "n_shared_experts": 1,
    "n_routed_experts": 128,
    "first_k_dense_replace": 1,
}

ALIASES = {"n_routed_experts": "num_local_experts"}


def glm4_moe(config: Config, head: Head) -> Architecture:
    """Dense layers first, then mixtures with a shared expert."""
    d = dimensions(config)
    attention = "layers.{}.self_attn"
    experts, width = config.experts("n_routed_experts"), config.size("moe_intermediate_size")
    shared = width * config.experts("n_shared_experts")
    first = min(config.whole("first_k_dense_replace", 0, MAX_LAYERS), d.layers)
    dense, sparse = parts.layer_names(0, first), parts.layer_names(first, d.layers)
    query_norm = config.flag("use_qk_norm")
    modules = (
        parts.embedding("embed_tokens", d.vocabulary, d.hidden),
        *projections(attention, d, d.indices, bias=config.flag("attention_bias")),
        *(query_key_norms(attention, d, d.indices) if query_norm else ()),
        *(gated("layers.{}.mlp", d.hidden, d.intermediate, dense) if dense else ()),
        *routed(experts, d.hidden, width, sparse),
        *(gated("layers.{}.mlp.shared_experts", d.hidden, shared, sparse) if sparse else ()),
        *surrounding_norms(d),
        parts.norm("norm", d.hidden),
    )
    activation = config.word("hidden_act")
    plain = FeedForward(d.intermediate, True, activation)
    mixed = FeedForward(width, True, activation, experts, chosen_experts(config, experts), shared)
    feed_forwards = (plain,) * len(dense) + (mixed,) * len(sparse)
    layers = layer_kinds(config, d, (None,) * d.layers, feed_forwards, query_norm=query_norm)
    order = order_of(feed_forwards)
    body = Body(modules, layers, d.hidden, d.vocabulary, "model", d.max_positions, order=order)
    return with_head(config, head, body)
