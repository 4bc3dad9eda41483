"""Mixtures of experts of LLaMA's shape: Mixtral and Qwen3-MoE, with the fused experts of transformers 5."""

from __future__ import annotations

from dataclasses import replace

from toolkit.memory.architecture import parts
from toolkit.memory.architecture.config import MAX_LAYERS, Config
from toolkit.memory.architecture.decoder import dimensions, gated, layer_kinds, projections, query_key_norms
from toolkit.memory.architecture.heads import Body, Head
from toolkit.memory.architecture.heads import decoder as with_head
from toolkit.memory.architecture.llama import LLAMA_DEFAULTS, surrounding_norms
from toolkit.memory.architecture.model import Architecture, FeedForward, Module, Tensor

MIXTRAL_DEFAULTS = {
    **LLAMA_DEFAULTS,
    "intermediate_size": 14336,
    "num_key_value_heads": 8,
    "max_position_embeddings": 131072,
    "num_experts_per_tok": 2,
    "num_local_experts": 8,
}

QWEN3_MOE_DEFAULTS = {
    **LLAMA_DEFAULTS,
    "vocab_size": 151936,
    "hidden_size": 2048,
    "intermediate_size": 6144,
    "num_hidden_layers": 24,
    "num_key_value_heads": 4,
    "max_position_embeddings": 32768,
    "sliding_window": 4096,
    "decoder_sparse_step": 1,
    "moe_intermediate_size": 768,
    "num_experts_per_tok": 8,
    "num_local_experts": 128,
}

# The Hub's files say num_experts; transformers 5 keeps it as num_local_experts.
EXPERT_ALIASES = {"num_local_experts": "num_experts"}


def mixtral(config: Config, head: Head) -> Architecture:
    """Mixtral: a mixture in every layer."""
    d = dimensions(config)
    experts = config.experts("num_local_experts")
    modules = (
        parts.embedding("embed_tokens", d.vocabulary, d.hidden),
        *projections("layers.{}.self_attn", d, d.indices),
        router("layers.{}.mlp.gate", experts, d.hidden, d.indices),
        fused_experts("layers.{}.mlp.experts", experts, d.hidden, d.intermediate, d.indices),
        *surrounding_norms(d),
        parts.norm("norm", d.hidden),
    )
    feed_forward = FeedForward(
        d.intermediate, True, config.word("hidden_act"), experts, chosen_experts(config, experts)
    )
    window = config.optional_size("sliding_window")
    layers = layer_kinds(config, d, (window,) * d.layers, feed_forward)
    body = Body(modules, layers, d.hidden, d.vocabulary, "model", d.max_positions)
    return with_head(config, head, body)


def qwen3_moe(config: Config, head: Head) -> Architecture:
    """Qwen3-MoE: a mixture in the layers that `decoder_sparse_step` and `mlp_only_layers` leave to it."""
    d = dimensions(config)
    bias = config.flag("attention_bias")
    attention = "layers.{}.self_attn"
    experts = config.experts("num_local_experts")
    width = config.size("moe_intermediate_size")
    sparse, dense = sparse_and_dense(config, d.layers)
    modules = (
        parts.embedding("embed_tokens", d.vocabulary, d.hidden),
        *projections(attention, d, d.indices, bias=bias, output_bias=bias),
        *query_key_norms(attention, d, d.indices),
        *(gated("layers.{}.mlp", d.hidden, d.intermediate, dense) if dense else ()),
        *routed(experts, d.hidden, width, sparse),
        *surrounding_norms(d),
        parts.norm("norm", d.hidden),
    )
    activation = config.word("hidden_act")
    plain = FeedForward(d.intermediate, True, activation)
    mixed = FeedForward(width, True, activation, experts, chosen_experts(config, experts))
    in_mixture = set(sparse)
    feed_forwards = tuple(mixed if index in in_mixture else plain for index in d.indices)
    window = config.optional_size("sliding_window") if config.flag("use_sliding_window") else None
    layers = layer_kinds(config, d, (window,) * d.layers, feed_forwards, query_norm=True)
    body = Body(modules, layers, d.hidden, d.vocabulary, "model", d.max_positions)
    return with_head(config, head, body)


def router(
    path: str, experts: int, hidden: int, layers: tuple[str, ...], *, bias: bool = False, float32: bool = False
) -> Module:
    """A router: bare parameters of (experts, hidden), and a bias; some stay in float32."""
    weight = Tensor("weight", (experts, hidden))
    module = parts.bare(path, (weight, Tensor("bias", (experts,))) if bias else (weight,), layers)
    return replace(module, float32=True) if float32 else module


def fused_experts(path: str, experts: int, hidden: int, intermediate: int, layers: tuple[str, ...]) -> Module:
    """The experts of a layer: gate and up of all in one parameter, down of all in another."""
    tensors = (
        Tensor("gate_up_proj", (experts, 2 * intermediate, hidden)),
        Tensor("down_proj", (experts, hidden, intermediate)),
    )
    return parts.experts(path, tensors, layers)


def chosen_experts(config: Config, experts: int) -> int:
    """The number of experts that each token passes through."""
    return config.whole("num_experts_per_tok", 1, experts)


def routed(experts: int, hidden: int, intermediate: int, layers: tuple[str, ...]) -> tuple[Module, ...]:
    """The experts and the router of the layers that have a mixture, if any have."""
    if not layers:
        return ()
    return (
        fused_experts("layers.{}.mlp.experts", experts, hidden, intermediate, layers),
        router("layers.{}.mlp.gate", experts, hidden, layers),
    )


def sparse_and_dense(config: Config, layers: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The indices of the layers with a mixture, and of those without."""
    step = config.whole("decoder_sparse_step", 1, MAX_LAYERS)
    listed = config.value("mlp_only_layers")
    if listed is not None and (not isinstance(listed, list) or len(listed) > MAX_LAYERS):
        raise config.refuse("mlp_only_layers is not a list of layers")
    plain = {index for index in listed or () if isinstance(index, int)}
    sparse = tuple(str(i) for i in range(layers) if i not in plain and (i + 1) % step == 0)
    mixed = set(sparse)
    return sparse, tuple(index for index in parts.layer_names(0, layers) if index not in mixed)
