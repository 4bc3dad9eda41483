"""Mamba 2 in most layers and attention in a few: Granite 4 of IBM, and Bamba.

Source: transformers 5.23 modeling_granitemoehybrid.py, modeling_bamba.py and their configurations.
"""

from __future__ import annotations

from collections import Counter

from toolkit.memory.architecture import parts
from toolkit.memory.architecture.config import MAX_LAYERS, Config
from toolkit.memory.architecture.decoder import FULL, Dimensions, attention, dimensions, gated, projections
from toolkit.memory.architecture.heads import Body, Head
from toolkit.memory.architecture.heads import decoder as with_head
from toolkit.memory.architecture.llama import LLAMA_DEFAULTS
from toolkit.memory.architecture.mixers import Mamba2
from toolkit.memory.architecture.mixture import chosen_experts, fused_experts, router
from toolkit.memory.architecture.model import Architecture, FeedForward, LayerKind, Module, Tensor

LINEAR = "linear_attention"
_NAMES = {"mamba": LINEAR, "attention": FULL, LINEAR: LINEAR, FULL: FULL}
"""What configurations call the two kinds of layers, in older releases too (configuration_utils.py)."""

_MAMBA = {
    **LLAMA_DEFAULTS,
    "mamba_n_heads": 128,
    "mamba_n_groups": 1,
    "mamba_d_state": 256,
    "mamba_d_head": "auto",
    "mamba_d_conv": 4,
    "mamba_expand": 2,
    "mamba_chunk_size": 256,
    "mamba_conv_bias": True,
    "mamba_proj_bias": False,
}
GRANITE_HYBRID_DEFAULTS = {
    **_MAMBA,
    "num_local_experts": 8,
    "num_experts_per_tok": 2,
    "shared_intermediate_size": 1024,
}
GRANITE_HYBRID_ALIASES = {"layer_types": "layers_block_type"}
BAMBA_DEFAULTS = {
    **_MAMBA,
    "vocab_size": 128000,
    "intermediate_size": 14336,
    "num_key_value_heads": 8,
    "max_position_embeddings": 262144,
    "partial_rotary_factor": 0.5,
}


def granite_hybrid(config: Config, head: Head) -> Architecture:
    """Granite 4: every layer has a shared feed-forward, and experts beside it where the model has any."""
    d = dimensions(config)
    if config.value("position_embedding_type") == "rope":
        raise config.refuse("no formula for Granite 4 with rotary embedding yet")
    types = _types(config, d.layers)
    experts, shared = config.whole("num_local_experts", 0, 65_536), config.size("shared_intermediate_size")
    activation, path = config.word("hidden_act"), "layers.{}.shared_mlp"
    feed_forward = FeedForward(shared, True, activation)
    modules: tuple[Module, ...] = (
        parts.linear(f"{path}.input_linear", d.hidden, 2 * shared, d.indices),
        parts.linear(f"{path}.output_linear", shared, d.hidden, d.indices),
    )
    if experts:
        chosen = chosen_experts(config, experts)
        feed_forward = FeedForward(d.intermediate, True, activation, experts, chosen, shared)
        modules += (
            router("layers.{}.block_sparse_moe.router", experts, d.hidden, d.indices),
            fused_experts("layers.{}.block_sparse_moe.experts", experts, d.hidden, d.intermediate, d.indices),
        )
    names = ("post_attention_layernorm", "norm")
    return with_head(config, head, _body(config, d, types, modules, feed_forward, names))


def bamba(config: Config, head: Head) -> Architecture:
    """Bamba: a gated feed-forward in every layer."""
    d = dimensions(config)
    chosen = config.value("attn_layer_indices") or []
    if not isinstance(chosen, list) or len(chosen) > MAX_LAYERS:
        raise config.refuse("attn_layer_indices is not a list of layers")
    types = tuple(FULL if index in chosen else LINEAR for index in range(d.layers))
    bias = config.flag("mlp_bias")
    modules = gated("layers.{}.feed_forward", d.hidden, d.intermediate, d.indices, bias=bias)
    feed_forward = FeedForward(d.intermediate, True, config.word("hidden_act"))
    return with_head(
        config, head, _body(config, d, types, modules, feed_forward, ("pre_ff_layernorm", "final_layernorm"))
    )


def mamba_of(config: Config, hidden: int, given: int | None = None) -> Mamba2:
    """The dimensions of Mamba 2; without a `given` width of all its heads that is a multiple of the hidden width."""
    heads, inner = config.heads("mamba_n_heads"), given or config.whole("mamba_expand", 1, 64) * hidden
    width = inner // heads if config.value("mamba_d_head") == "auto" else config.size("mamba_d_head")
    found = Mamba2(
        heads=heads,
        head_width=width,
        groups=config.heads("mamba_n_groups"),
        state_width=config.size("mamba_d_state"),
        kernel=config.size("mamba_d_conv"),
        piece=config.size("mamba_chunk_size"),
    )
    if found.inner != inner or heads % found.groups:
        raise config.refuse(f"{heads} heads of {width} in {found.groups} groups do not make a width of {inner}")
    return found


def mamba_modules(config: Config, path: str, hidden: int, m: Mamba2, layers: tuple[str, ...]) -> tuple[Module, ...]:
    """The modules of Mamba 2: a projection in and one out, a convolution, and a norm."""
    bias = config.flag("mamba_proj_bias")
    kernel = Tensor("weight", (m.convolved, 1, m.kernel))
    own = (Tensor("dt_bias", (m.heads,)), Tensor("A_log", (m.heads,)), Tensor("D", (m.heads,)))
    return (
        parts.bare(path, own, layers),
        parts.bare(
            f"{path}.conv1d",
            (kernel, Tensor("bias", (m.convolved,))) if config.flag("mamba_conv_bias") else (kernel,),
            layers,
        ),
        parts.linear(f"{path}.in_proj", hidden, m.projected, layers, bias=bias),
        parts.norm(f"{path}.norm", m.inner, layers),
        parts.linear(f"{path}.out_proj", m.inner, hidden, layers, bias=bias),
    )


def _types(config: Config, layers: int) -> tuple[str, ...]:
    types = config.words("layer_types")
    if types is None:
        return (LINEAR,) * layers
    if len(types) != layers or not set(types) <= set(_NAMES):
        raise config.refuse(f"layer_types does not name {' or '.join(_NAMES)} for each of {layers} layers")
    return tuple(_NAMES[kind] for kind in types)


def _body(
    config: Config, d: Dimensions, types: tuple[str, ...], feed_forward: tuple[Module, ...], part: FeedForward,
    norms: tuple[str, str],
) -> Body:  # fmt: skip
    """Norms are named: the one before the feed-forward, and the last."""
    full = tuple(index for index, kind in zip(d.indices, types, strict=True) if kind == FULL)
    linear = tuple(index for index, kind in zip(d.indices, types, strict=True) if kind == LINEAR)
    mixer, bias = mamba_of(config, d.hidden), config.flag("attention_bias")
    modules = (
        parts.embedding("embed_tokens", d.vocabulary, d.hidden),
        *(projections("layers.{}.self_attn", d, full, bias=bias, output_bias=bias) if full else ()),
        *(mamba_modules(config, "layers.{}.mamba", d.hidden, mixer, linear) if linear else ()),
        *feed_forward,
        parts.norm("layers.{}.input_layernorm", d.hidden, d.indices),
        parts.norm(f"layers.{{}}.{norms[0]}", d.hidden, d.indices),
        parts.norm(norms[1], d.hidden),
    )
    kinds = Counter(types)
    layers = tuple(
        LayerKind(
            count,
            attention(config, d, None, recurrent=kind == LINEAR),
            part,
            mixer=mixer if kind == LINEAR else None,
        )
        for kind, count in kinds.items()
    )
    places = {kind: place for place, kind in enumerate(kinds)}
    order = tuple(places[kind] for kind in types)
    return Body(modules, layers, d.hidden, d.vocabulary, "model", d.max_positions, order=order)
