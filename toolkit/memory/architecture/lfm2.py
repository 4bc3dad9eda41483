"""LFM2 of Liquid AI: most layers have a short convolution between two gates in place of attention.

Source: transformers 5.23 modeling_lfm2.py, modeling_lfm2_moe.py and their configurations.
"""

from __future__ import annotations

from collections import Counter

from toolkit.memory.architecture import parts
from toolkit.memory.architecture.config import MAX_LAYERS, MAX_SIZE, Config
from toolkit.memory.architecture.decoder import FULL, Dimensions, attention, dimensions
from toolkit.memory.architecture.heads import Body, Head
from toolkit.memory.architecture.heads import decoder as with_head
from toolkit.memory.architecture.llama import LLAMA_DEFAULTS
from toolkit.memory.architecture.mixers import ShortConvolution
from toolkit.memory.architecture.mixture import chosen_experts, fused_experts, router
from toolkit.memory.architecture.model import Architecture, FeedForward, LayerKind, Module, Tensor

_CONV = "conv"
_COMMON = {
    **LLAMA_DEFAULTS,
    "vocab_size": 65536,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "max_position_embeddings": 128_000,
    "tie_word_embeddings": True,
    "conv_bias": False,
    "conv_L_cache": 3,
}
LFM2_DEFAULTS = {
    **_COMMON,
    "hidden_size": 2560,
    "intermediate_size": 12288,
    "block_multiple_of": 256,
    "block_ffn_dim_multiplier": 1.0,
    "block_auto_adjust_ff_dim": True,
}
LFM2_MOE_DEFAULTS = {
    **_COMMON,
    "hidden_size": 2048,
    "intermediate_size": 7168,
    "moe_intermediate_size": 1792,
    "num_dense_layers": 2,
    "num_experts_per_tok": 4,
    "num_experts": 32,
}
LFM2_ALIASES = {"tie_word_embeddings": "tie_embedding", "intermediate_size": "block_ff_dim"}
LFM2_MOE_ALIASES = {"tie_word_embeddings": "tie_embedding"}


def lfm2(config: Config, head: Head) -> Architecture:
    """LFM2 350M to 2.6B."""
    d = dimensions(config)
    width = _adjusted(config, d.intermediate)
    feed_forward = FeedForward(width, True, "silu")
    modules = _feed_forward(d.hidden, width, d.indices)
    return with_head(config, head, _body(config, d, modules, (feed_forward,) * d.layers))


def lfm2_moe(config: Config, head: Head) -> Architecture:
    """LFM2 with experts in all layers but the first few."""
    d = dimensions(config)
    experts, width = config.experts("num_experts"), config.size("moe_intermediate_size")
    dense = min(config.whole("num_dense_layers", 0, MAX_LAYERS), d.layers)
    first, later = d.indices[:dense], d.indices[dense:]
    path = "layers.{}.feed_forward"
    modules = (
        *(_feed_forward(d.hidden, d.intermediate, first) if first else ()),
        *(
            (
                router(f"{path}.gate", experts, d.hidden, later),
                fused_experts(f"{path}.experts", experts, d.hidden, width, later),
            )
            if later
            else ()
        ),
    )
    plain = FeedForward(d.intermediate, True, "silu")
    mixture = FeedForward(width, True, "silu", experts, chosen_experts(config, experts))
    return with_head(config, head, _body(config, d, modules, (plain,) * dense + (mixture,) * (d.layers - dense)))


def _body(
    config: Config, d: Dimensions, feed_forward: tuple[Module, ...], feed_forwards: tuple[FeedForward, ...]
) -> Body:
    types = _types(config, d.layers)
    full = tuple(index for index, kind in zip(d.indices, types, strict=True) if kind == FULL)
    short = tuple(index for index, kind in zip(d.indices, types, strict=True) if kind == _CONV)
    mixer = ShortConvolution(d.hidden, config.size("conv_L_cache"), config.flag("conv_bias"))
    modules = (
        parts.embedding("embed_tokens", d.vocabulary, d.hidden),
        *(_attention(d, full) if full else ()),
        *(_convolution(mixer, short) if short else ()),
        *feed_forward,
        parts.norm("layers.{}.operator_norm", d.hidden, d.indices),
        parts.norm("layers.{}.ffn_norm", d.hidden, d.indices),
        parts.norm("embedding_norm", d.hidden),
    )
    each = list(zip(types, feed_forwards, strict=True))
    kinds = Counter(each)
    layers = tuple(
        LayerKind(
            count,
            attention(config, d, None, query_norm=True, recurrent=kind == _CONV),
            part,
            mixer=mixer if kind == _CONV else None,
        )
        for (kind, part), count in kinds.items()
    )
    places = {kind: place for place, kind in enumerate(kinds)}
    order = tuple(places[kind] for kind in each)
    return Body(modules, layers, d.hidden, d.vocabulary, "model", d.max_positions, order=order)


def _types(config: Config, layers: int) -> tuple[str, ...]:
    """The kind of each layer: by `layer_types`, else by the indices of those with attention, else all have it."""
    types = config.words("layer_types")
    if types is None:
        chosen = config.value("full_attn_idxs")
        if chosen is None:
            return (FULL,) * layers
        if not isinstance(chosen, list) or len(chosen) > MAX_LAYERS:
            raise config.refuse("full_attn_idxs is not a list of layers")
        return tuple(FULL if index in chosen else _CONV for index in range(layers))
    if len(types) != layers or not set(types) <= {FULL, _CONV}:
        raise config.refuse(f"layer_types does not name {FULL} or {_CONV} for each of {layers} layers")
    return types


def _adjusted(config: Config, width: int) -> int:
    """Two thirds of the width, times a factor, rounded up to a multiple: where the config says so."""
    if not config.flag("block_auto_adjust_ff_dim"):
        return width
    width, factor, unit = int(2 * width / 3), config.value("block_ffn_dim_multiplier"), config.size("block_multiple_of")
    if factor is None:
        return width
    if isinstance(factor, bool) or not isinstance(factor, int | float) or not 0 < factor <= MAX_SIZE / width:
        raise config.refuse("block_ffn_dim_multiplier is not a number in its range")
    return -(-int(factor * width) // unit) * unit


def _feed_forward(hidden: int, width: int, layers: tuple[str, ...]) -> tuple[Module, ...]:
    path = "layers.{}.feed_forward"
    return (
        parts.linear(f"{path}.w1", hidden, width, layers),
        parts.linear(f"{path}.w3", hidden, width, layers),
        parts.linear(f"{path}.w2", width, hidden, layers),
    )


def _attention(d: Dimensions, layers: tuple[str, ...]) -> tuple[Module, ...]:
    path, queries, keys = "layers.{}.self_attn", d.heads * d.head_dim, d.key_value_heads * d.head_dim
    return (
        parts.linear(f"{path}.q_proj", d.hidden, queries, layers),
        parts.linear(f"{path}.k_proj", d.hidden, keys, layers),
        parts.linear(f"{path}.v_proj", d.hidden, keys, layers),
        parts.linear(f"{path}.out_proj", queries, d.hidden, layers),
        parts.norm(f"{path}.q_layernorm", d.head_dim, layers),
        parts.norm(f"{path}.k_layernorm", d.head_dim, layers),
    )


def _convolution(mixer: ShortConvolution, layers: tuple[str, ...]) -> tuple[Module, ...]:
    path, width = "layers.{}.conv", mixer.channels
    tensors = (Tensor("weight", (width, 1, mixer.kernel)), *((Tensor("bias", (width,)),) if mixer.bias else ()))
    return (
        parts.bare(f"{path}.conv", tensors, layers),
        parts.linear(f"{path}.in_proj", width, 3 * width, layers, bias=mixer.bias),
        parts.linear(f"{path}.out_proj", width, width, layers, bias=mixer.bias),
    )
