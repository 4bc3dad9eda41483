"""Mixtures whose layers are those of a dense relative: dots.llm1, Solar Open, EXAONE MoE, ERNIE 4.5, Hunyuan A13B.

Names and defaults are those of transformers 5.23.
"""

from __future__ import annotations

from toolkit.memory.architecture import parts
from toolkit.memory.architecture.config import MAX_LAYERS, Config
from toolkit.memory.architecture.decoder import (
    FULL,
    SLIDING,
    Dimensions,
    dimensions,
    gated,
    layer_kinds,
    layer_windows,
    norms,
    order_of,
    projections,
    query_key_norms,
)
from toolkit.memory.architecture.heads import Body, Head
from toolkit.memory.architecture.heads import decoder as with_head
from toolkit.memory.architecture.llama import LLAMA_DEFAULTS
from toolkit.memory.architecture.mixture import chosen_experts, fused_experts, routed, router
from toolkit.memory.architecture.model import Architecture, FeedForward, LayerKind, Module, Tensor
from toolkit.memory.architecture.relatives import ERNIE_DEFAULTS, EXAONE4_DEFAULTS, HUNYUAN_DEFAULTS, exaone_pattern

DOTS1_DEFAULTS = {
    **LLAMA_DEFAULTS,
    "vocab_size": 152064,
    "hidden_size": 4608,
    "intermediate_size": 10944,
    "moe_intermediate_size": 1408,
    "num_hidden_layers": 62,
    "num_key_value_heads": 32,
    "sliding_window": 4096,
    "max_window_layers": 62,
    "first_k_dense_replace": 0,
}

EXAONE_MOE_DEFAULTS = {
    **EXAONE4_DEFAULTS,
    "max_position_embeddings": 2048,
    "moe_intermediate_size": 1024,
    "num_experts": 64,
    "num_experts_per_tok": 8,
    "num_shared_experts": 1,
    "first_k_dense_replace": 1,
}

ERNIE_MOE_DEFAULTS = {
    **ERNIE_DEFAULTS,
    "hidden_size": 2560,
    "intermediate_size": 12288,
    "num_hidden_layers": 28,
    "num_attention_heads": 20,
    "num_key_value_heads": 4,
    "head_dim": None,
    "moe_intermediate_size": 1536,
    "num_experts_per_tok": 6,
    "num_experts": 64,
    "moe_num_shared_experts": 2,
    "moe_layer_start_index": 1,
    "moe_layer_end_index": -1,
    "moe_layer_interval": 1,
}

HUNYUAN_MOE_DEFAULTS = {**HUNYUAN_DEFAULTS, "num_local_experts": 1, "num_experts_per_tok": 1}

DOTS1_ALIASES = {"n_routed_experts": "num_local_experts"}
ERNIE_MOE_ALIASES = {"num_experts": "moe_num_experts", "num_experts_per_tok": "moe_k"}
HUNYUAN_MOE_ALIASES = {"num_local_experts": "num_experts", "num_experts_per_tok": "moe_topk"}

_ATTENTION, _MLP = "layers.{}.self_attn", "layers.{}.mlp"
_TWO = ("input_layernorm", "post_attention_layernorm")


def dots1(config: Config, head: Head) -> Architecture:
    """dots.llm1: the attention of Qwen3, the mixture of DeepSeek V3."""
    return _beside_shared(config, head, normed=True, output_bias=config.flag("attention_bias"))


def solar_open(config: Config, head: Head) -> Architecture:
    """Solar Open 100B: LLaMA's attention, and the mixture of DeepSeek V3 in every layer."""
    return _beside_shared(config, head, normed=False, output_bias=False)


def _beside_shared(config: Config, head: Head, *, normed: bool, output_bias: bool) -> Architecture:
    d = dimensions(config)
    first = min(config.whole("first_k_dense_replace", 0, MAX_LAYERS), d.layers)
    in_mixture = tuple(index >= first for index in range(d.layers))
    late = config.whole("max_window_layers", 0, 1 << 20) if config.value("sliding_window") is not None else d.layers
    pattern = tuple(SLIDING if index >= late else FULL for index in range(d.layers))
    bias = config.flag("attention_bias")
    attention = (
        *projections(_ATTENTION, d, d.indices, bias=bias, output_bias=output_bias),
        *(query_key_norms(_ATTENTION, d, d.indices) if normed else ()),
    )
    shared = config.size("moe_intermediate_size") * config.experts("n_shared_experts")
    experts, feed_forwards = _mixtures(config, d, in_mixture, "n_routed_experts", shared)
    windows = layer_windows(config, d.layers, pattern)
    kinds = layer_kinds(config, d, windows, feed_forwards, query_norm=normed)
    order = order_of(tuple(zip(windows, in_mixture, strict=True)))
    return _model(config, head, d, (*attention, *experts), kinds, order=order)


def exaone_moe(config: Config, head: Head) -> Architecture:
    """K-EXAONE: the attention of EXAONE 4, normed before it, and the mixture of DeepSeek V3."""
    d = dimensions(config)
    windowed = config.value("sliding_window") is not None
    windows = layer_windows(config, d.layers, exaone_pattern(config, d) if windowed else None)
    attention = (*projections(_ATTENTION, d, d.indices), *query_key_norms(_ATTENTION, d, d.indices))
    shared = config.size("moe_intermediate_size") * config.experts("num_shared_experts")
    in_mixture = sparse_layers(config, d.layers)
    experts, feed_forwards = _mixtures(config, d, in_mixture, "num_experts", shared)
    turned = tuple(window is not None or not windowed for window in windows)
    kinds = layer_kinds(config, d, windows, feed_forwards, turned=turned, query_norm=True)
    order = order_of(tuple(zip(windows, in_mixture, turned, strict=True)))
    return _model(config, head, d, (*attention, *experts), kinds, order=order)


def ernie_moe(config: Config, head: Head) -> Architecture:
    """ERNIE 4.5 21B-A3B and 300B-A47B; routers and the statistics of their choices stay in float32."""
    d = dimensions(config)
    bias = config.flag("use_bias")
    shared = config.size("moe_intermediate_size") * config.whole("moe_num_shared_experts", 0, 1 << 16)
    plain, mixed = _feed_forwards(config, d, "num_experts", shared)
    in_mixture = _ernie_mixtures(config, d.layers)
    sparse, dense = _split(d, in_mixture)
    experts = mixed.experts
    routers = (
        fused_experts(f"{_MLP}.experts", experts, d.hidden, mixed.intermediate, sparse),
        router(f"{_MLP}.gate", experts, d.hidden, sparse, float32=True),
        parts.statistics(f"{_MLP}.gate.moe_statics", Tensor("e_score_correction_bias", (1, experts)), sparse),
        *(gated(f"{_MLP}.shared_experts", d.hidden, shared, sparse, bias=bias) if shared else ()),
    )
    inner = (
        *projections(_ATTENTION, d, d.indices, bias=bias, output_bias=bias),
        *(gated(_MLP, d.hidden, d.intermediate, dense, bias=bias) if dense else ()),
        *(routers if sparse else ()),
    )
    feed_forwards = tuple(mixed if sparse else plain for sparse in in_mixture)
    kinds = layer_kinds(config, d, (None,) * d.layers, feed_forwards)
    return _model(config, head, d, inner, kinds, head_bias=bias, order=order_of(in_mixture))


def _ernie_mixtures(config: Config, layers: int) -> tuple[bool, ...]:
    every = config.whole("moe_layer_interval", 1, MAX_LAYERS)
    start = config.whole("moe_layer_start_index", 0, MAX_LAYERS)
    end = config.whole("moe_layer_end_index", -1, MAX_LAYERS)
    last = layers - 1 if end == -1 else end
    return tuple((index + 1) % every == 0 and start <= index <= last for index in range(layers))


def hunyuan_moe(config: Config, head: Head) -> Architecture:
    """Hunyuan A13B: its routers are linears in float32, its experts as wide as the one that all tokens pass through."""
    config = _alike(config, "num_local_experts", "num_experts_per_tok")
    d = dimensions(config)
    bias = config.flag("attention_bias")
    experts = config.experts("num_local_experts")
    inner = (
        *projections(_ATTENTION, d, d.indices, bias=bias, output_bias=bias),
        *(parts.norm(f"{_ATTENTION}.{name}", d.head_dim, d.indices) for name in ("query_layernorm", "key_layernorm")),
        parts.linear(f"{_MLP}.gate.wg", d.hidden, experts, d.indices, float32=True),
        fused_experts(f"{_MLP}.experts", experts, d.hidden, d.intermediate, d.indices),
        *gated(f"{_MLP}.shared_mlp", d.hidden, d.intermediate, d.indices),
    )
    chosen = chosen_experts(config, experts)
    mixed = FeedForward(d.intermediate, True, config.word("hidden_act"), experts, chosen, d.intermediate)
    return _model(config, head, d, inner, layer_kinds(config, d, (None,) * d.layers, mixed, query_norm=True))


def _alike(config: Config, *keys: str) -> Config:
    """The config with one number where its makers list the same for every layer."""
    values = {}
    for key in keys:
        listed = config.value(key)
        if not isinstance(listed, list):
            continue
        if not listed or any(each != listed[0] for each in listed):
            raise config.refuse(f"{key} that differs by layer is not covered")
        values[key] = listed[0]
    return config.given(**values)


def sparse_layers(config: Config, layers: int) -> tuple[bool, ...]:
    """Which layers have a mixture: by `mlp_layer_types`, else those after the first `first_k_dense_replace`."""
    types = config.words("mlp_layer_types")
    if types is None:
        first = config.whole("first_k_dense_replace", 0, MAX_LAYERS)
        return tuple(index >= first for index in range(layers))
    if len(types) != layers or not set(types) <= {"dense", "sparse"}:
        raise config.refuse(f"mlp_layer_types does not name dense or sparse for each of {layers} layers")
    return tuple(kind == "sparse" for kind in types)


def _split(d: Dimensions, in_mixture: tuple[bool, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The indices of the layers with a mixture, and of those without."""
    both = list(zip(d.indices, in_mixture, strict=True))
    return tuple(index for index, mixed in both if mixed), tuple(index for index, mixed in both if not mixed)


def _feed_forwards(config: Config, d: Dimensions, key: str, shared: int) -> tuple[FeedForward, FeedForward]:
    """That of a layer without a mixture, and that of one with `key` experts."""
    experts, activation = config.experts(key), config.word("hidden_act")
    width, chosen = config.size("moe_intermediate_size"), chosen_experts(config, experts)
    return (
        FeedForward(d.intermediate, True, activation),
        FeedForward(width, True, activation, experts, chosen, shared),
    )


def _mixtures(
    config: Config, d: Dimensions, in_mixture: tuple[bool, ...], key: str, shared: int
) -> tuple[tuple[Module, ...], tuple[FeedForward, ...]]:
    """The modules of all feed-forwards, and the feed-forward of each layer."""
    plain, mixed = _feed_forwards(config, d, key, shared)
    sparse, dense = _split(d, in_mixture)
    modules = (
        *(gated(_MLP, d.hidden, d.intermediate, dense) if dense else ()),
        *routed(mixed.experts, d.hidden, mixed.intermediate, sparse),
        *(gated(f"{_MLP}.shared_experts", d.hidden, shared, sparse) if sparse else ()),
    )
    return modules, tuple(mixed if sparse else plain for sparse in in_mixture)


def _model(
    config: Config,
    head: Head,
    d: Dimensions,
    inner: tuple[Module, ...],
    kinds: tuple[LayerKind, ...],
    *,
    head_bias: bool = False,
    order: tuple[int, ...] = (),
) -> Architecture:
    modules = (
        parts.embedding("embed_tokens", d.vocabulary, d.hidden),
        *inner,
        *norms(d, *_TWO),
        parts.norm("norm", d.hidden),
    )
    body = Body(modules, kinds, d.hidden, d.vocabulary, "model", d.max_positions, order=order)
    return with_head(config, head, body, head_bias=head_bias)
