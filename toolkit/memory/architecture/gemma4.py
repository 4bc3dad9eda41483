"""Gemma 4's text models: heads twice as wide in layers that attend to all, inputs for each layer, shared keys, experts.

Source: transformers 5.23 modeling_gemma4.py, modeling_gemma4_unified.py and their configurations. Gemma 4 12B is the
unified one, whose images and sounds pass through no tower.
"""

from __future__ import annotations

from collections import Counter

from toolkit.frozen import frozen
from toolkit.memory.architecture import parts
from toolkit.memory.architecture.config import MAX_LAYERS, Config
from toolkit.memory.architecture.decoder import FULL, SLIDING, Dimensions, dimensions, gated, norms, order_of
from toolkit.memory.architecture.gemma import capped_body
from toolkit.memory.architecture.heads import BASE, CAUSAL, Head
from toolkit.memory.architecture.heads import decoder as with_head
from toolkit.memory.architecture.mixture import fused_experts
from toolkit.memory.architecture.model import Architecture, Attention, FeedForward, LayerKind, Module, Tensor

GEMMA4_TEXT_DEFAULTS = {
    "vocab_size": 262144,
    "hidden_size": 2304,
    "intermediate_size": 9216,
    "num_hidden_layers": 30,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 256,
    "global_head_dim": 512,
    "hidden_activation": "gelu_pytorch_tanh",
    "max_position_embeddings": 131072,
    "sliding_window": 512,
    "tie_word_embeddings": True,
    "vocab_size_per_layer_input": 262144,
    "hidden_size_per_layer_input": 256,
    "num_kv_shared_layers": 0,
}
UNIFIED_TEXT_DEFAULTS = {
    **GEMMA4_TEXT_DEFAULTS,
    "sliding_window": 1024,
    "max_position_embeddings": 262144,
    "hidden_size_per_layer_input": None,
    "use_bidirectional_attention": "vision",
}

TEXT_CLASSES = {CAUSAL: "Gemma4ForCausalLM", BASE: "Gemma4TextModel"}
UNIFIED_CLASSES = {CAUSAL: "Gemma4UnifiedForCausalLM", BASE: "Gemma4UnifiedTextModel"}

FAMILIES = ("gemma4_text", "gemma4_unified_text")
"""The types of text models, whose passes are alike."""

_ATTENTION, _MLP = "layers.{}.self_attn", "layers.{}.mlp"
_NORMS = (
    "input_layernorm",
    "post_attention_layernorm",
    "pre_feedforward_layernorm",
    "post_feedforward_layernorm",
)
_EXPERT_NORMS = ("post_feedforward_layernorm_1", "post_feedforward_layernorm_2", "pre_feedforward_layernorm_2")
_EVERY = 6


@frozen
class _Kind:
    """What tells the layers of one model apart: their window, and whether they take the keys of an earlier layer."""

    sliding: bool
    shared: bool


def gemma4_text(config: Config, head: Head) -> Architecture:
    """The text model of Gemma 4."""
    d = dimensions(config)
    kinds = _kinds(config, d)
    modules = (
        parts.embedding("embed_tokens", d.vocabulary, d.hidden),
        *(module for kind in Counter(kinds) for module in _attention(config, d, kind, _of(d, kinds, kind))),
        *_feed_forwards(config, d, kinds),
        *norms(d, *_NORMS),
        *_experts(config, d),
        *_gates(config, d),
        parts.norm("norm", d.hidden),
        *_layer_inputs(config, d),
    )
    layers = tuple(
        LayerKind(
            count,
            _as_attention(config, d, kind),
            _as_feed_forward(config, _inner(config, d, kind)),
            norms=4,
            sample=_of(d, kinds, kind)[0],
        )
        for kind, count in Counter(kinds).items()
    )
    return with_head(config, head, capped_body(config, d, modules, layers, order_of(kinds)))


def _kinds(config: Config, d: Dimensions) -> tuple[_Kind, ...]:
    if config.value("use_bidirectional_attention") not in (None, "vision"):
        raise config.refuse("attention to later tokens is not covered")
    if config.value("per_layer_config") is not None:
        raise config.refuse("a per_layer_config is not covered")
    types = config.words("layer_types")
    if types is None:
        types = tuple(SLIDING if (index + 1) % _EVERY else FULL for index in range(d.layers))
    if len(types) != d.layers or not set(types) <= {SLIDING, FULL}:
        raise config.refuse(f"layer_types does not name {FULL} or {SLIDING} for each of {d.layers} layers")
    types = (*types[:-1], FULL)  # as transformers has it, whatever the config says
    shared = config.whole("num_kv_shared_layers", 0, MAX_LAYERS)
    first = d.layers - shared
    if first < 1 or (shared and set(types[:first]) != set(types)):
        raise config.malformed(f"{shared} layers cannot share the keys of the layers before them")
    return tuple(_Kind(kind == SLIDING, index >= first) for index, kind in enumerate(types))


def _of(d: Dimensions, kinds: tuple[_Kind, ...], kind: _Kind) -> tuple[str, ...]:
    return tuple(index for index, other in zip(d.indices, kinds, strict=True) if other == kind)


def _heads(config: Config, d: Dimensions, kind: _Kind) -> tuple[int, int]:
    """Key-value heads and the width of a head."""
    if kind.sliding:
        return d.key_value_heads, d.head_dim
    several = config.flag("attention_k_eq_v") and config.value("num_global_key_value_heads") is not None
    heads = config.heads("num_global_key_value_heads") if several else d.key_value_heads
    if d.heads % heads:
        raise config.malformed(f"{d.heads} attention heads cannot share {heads} key-value heads")
    return heads, config.size("global_head_dim")


def _as_attention(config: Config, d: Dimensions, kind: _Kind) -> Attention:
    heads, width = _heads(config, d, kind)
    return Attention(
        query_heads=d.heads,
        key_value_heads=heads,
        head_dim=width,
        value_head_dim=width,
        window=config.size("sliding_window") if kind.sliding else None,
        dropout=config.share("attention_dropout"),
        query_norm=True,
        keys_as_values=config.flag("attention_k_eq_v") and not kind.sliding,
        shares_keys=kind.shared,
    )


def _attention(config: Config, d: Dimensions, kind: _Kind, layers: tuple[str, ...]) -> tuple[Module, ...]:
    heads, width = _heads(config, d, kind)
    bias, queries = config.flag("attention_bias"), d.heads * width
    own = [] if kind.shared else ["k_proj", "v_proj"]
    if config.flag("attention_k_eq_v") and not kind.sliding and own:
        own.remove("v_proj")
    return (
        parts.linear(f"{_ATTENTION}.q_proj", d.hidden, queries, layers, bias=bias),
        parts.norm(f"{_ATTENTION}.q_norm", width, layers),
        *(() if kind.shared else (parts.norm(f"{_ATTENTION}.k_norm", width, layers),)),
        *(parts.linear(f"{_ATTENTION}.{name}", d.hidden, heads * width, layers, bias=bias) for name in own),
        parts.linear(f"{_ATTENTION}.o_proj", queries, d.hidden, layers, bias=bias),
    )


def _inner(config: Config, d: Dimensions, kind: _Kind) -> int:
    return d.intermediate * (2 if config.flag("use_double_wide_mlp") and kind.shared else 1)


def _as_feed_forward(config: Config, inner: int) -> FeedForward:
    """A feed-forward, or a mixture, beside which it then stands as an expert that every token passes through."""
    activation = config.word("hidden_activation")
    if not config.flag("enable_moe_block"):
        return FeedForward(inner, gated=True, activation=activation)
    experts, width = config.experts("num_experts"), config.size("moe_intermediate_size")
    chosen = config.whole("top_k_experts", 1, experts)
    return FeedForward(width, True, activation, experts, chosen, shared_intermediate=inner)


def _feed_forwards(config: Config, d: Dimensions, kinds: tuple[_Kind, ...]) -> tuple[Module, ...]:
    widths = tuple(_inner(config, d, kind) for kind in kinds)
    by_width = {
        width: tuple(index for index, other in zip(d.indices, widths, strict=True) if other == width)
        for width in dict.fromkeys(widths)
    }
    return tuple(module for width, layers in by_width.items() for module in gated(_MLP, d.hidden, width, layers))


def _layer_inputs(config: Config, d: Dimensions) -> tuple[Module, ...]:
    """What gives each layer an input of its own, of each token: a second embedding and a projection of the first."""
    if not config.value("hidden_size_per_layer_input"):
        return ()
    each = config.size("hidden_size_per_layer_input")
    rows, width = config.size("vocab_size_per_layer_input"), d.layers * each
    return (
        parts.embedding("embed_tokens_per_layer", rows, width),
        parts.linear("per_layer_model_projection", d.hidden, width),
        parts.norm("per_layer_projection_norm", each),
    )


def _gates(config: Config, d: Dimensions) -> tuple[Module, ...]:
    """What adds that input to a layer's result."""
    if not config.value("hidden_size_per_layer_input"):
        return ()
    each = config.size("hidden_size_per_layer_input")
    return (
        parts.linear("layers.{}.per_layer_input_gate", d.hidden, each, d.indices),
        parts.linear("layers.{}.per_layer_projection", each, d.hidden, d.indices),
        parts.norm("layers.{}.post_per_layer_input_norm", d.hidden, d.indices),
    )


def _experts(config: Config, d: Dimensions) -> tuple[Module, ...]:
    """A mixture beside the feed-forward of every layer, with norms of its own."""
    if not config.flag("enable_moe_block"):
        return ()
    experts, width = config.experts("num_experts"), config.size("moe_intermediate_size")
    scales = (Tensor("scale", (d.hidden,)), Tensor("per_expert_scale", (experts,)))
    return (
        parts.bare("layers.{}.router", scales, d.indices),
        parts.linear("layers.{}.router.proj", d.hidden, experts, d.indices),
        fused_experts("layers.{}.experts", experts, d.hidden, width, d.indices),
        *norms(d, *_EXPERT_NORMS),
    )
