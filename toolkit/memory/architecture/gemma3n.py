"""Gemma 3n's text models: several streams that each layer predicts and corrects, a low-rank way around attention.

Source: transformers 5.23 modeling_gemma3n.py and configuration_gemma3n.py. Inputs of each layer and keys that the last
layers share are as in Gemma 4.
"""

from __future__ import annotations

from collections import Counter

from toolkit.frozen import frozen
from toolkit.memory.architecture import parts
from toolkit.memory.architecture.config import MAX_LAYERS, Config
from toolkit.memory.architecture.decoder import (
    FULL,
    SLIDING,
    Dimensions,
    attention,
    dimensions,
    gated,
    norms,
    order_of,
)
from toolkit.memory.architecture.gemma import capped_body
from toolkit.memory.architecture.heads import BASE, CAUSAL, Head
from toolkit.memory.architecture.heads import decoder as with_head
from toolkit.memory.architecture.model import Architecture, FeedForward, LayerKind, Module, Tensor

FAMILY = "gemma3n_text"

GEMMA3N_TEXT_DEFAULTS = {
    "vocab_size": 262400,
    "hidden_size": 2048,
    "intermediate_size": 16384,
    "num_hidden_layers": 35,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "head_dim": 256,
    "hidden_activation": "gelu_pytorch_tanh",
    "max_position_embeddings": 32768,
    "sliding_window": 512,
    "tie_word_embeddings": True,
    "final_logit_softcapping": 30.0,
    "vocab_size_per_layer_input": 262144,
    "hidden_size_per_layer_input": 256,
    "altup_num_inputs": 4,
    "altup_coef_clip": 120.0,
    "altup_correct_scale": True,
    "num_kv_shared_layers": 15,
    "laurel_rank": 64,
}
CLASSES = {CAUSAL: "Gemma3nForCausalLM", BASE: "Gemma3nTextModel"}

_ATTENTION, _MLP, _ALTUP = "layers.{}.self_attn", "layers.{}.mlp", "layers.{}.altup"
_NORMS = (
    "input_layernorm",
    "post_attention_layernorm",
    "pre_feedforward_layernorm",
    "post_feedforward_layernorm",
    "post_per_layer_input_norm",
    "laurel.post_laurel_norm",
    "altup.router_norm",
)
_EVERY = 5
_SPARSE = 10
_MAX_STREAMS = 64


@frozen
class _Kind:
    """What tells the layers of one model apart."""

    sliding: bool
    shared: bool
    intermediate: int
    sparse: bool


def gemma3n_text(config: Config, head: Head) -> Architecture:
    """The text model of Gemma 3n."""
    if not config.flag("altup_correct_scale"):
        raise config.refuse("altup_correct_scale: false is not covered")
    first = config.value("intermediate_size")
    widths = first if isinstance(first, list) else None
    d = dimensions(config if not widths else config.given(intermediate_size=widths[0]))
    kinds = _kinds(config, d, widths)
    modules = (
        parts.embedding("embed_tokens", d.vocabulary, d.hidden),
        *_attentions(config, d, kinds),
        *_feed_forwards(d, kinds),
        *norms(d, *_NORMS),
        *_gates(config, d),
        parts.norm("norm", d.hidden),
        *_layer_inputs(config, d),
        *_streams(config, d),
    )
    activation = config.word("hidden_activation")
    layers = tuple(
        LayerKind(
            count,
            attention(
                config, d, config.size("sliding_window") if kind.sliding else None,
                query_norm=True, shares_keys=kind.shared,
            ),
            FeedForward(kind.intermediate, True, activation, sparse=kind.sparse),
            norms=4,
            sample=_of(d, kinds, kind)[0],
        )
        for kind, count in Counter(kinds).items()
    )  # fmt: skip
    return with_head(config, head, capped_body(config, d, modules, layers, order_of(kinds)))


def _kinds(config: Config, d: Dimensions, widths: list[object] | None) -> tuple[_Kind, ...]:
    types = config.words("layer_types")
    if types is None:
        types = tuple(SLIDING if (index + 1) % _EVERY else FULL for index in range(d.layers))
    if len(types) != d.layers or not set(types) <= {SLIDING, FULL}:
        raise config.refuse(f"layer_types does not name {FULL} or {SLIDING} for each of {d.layers} layers")
    first = d.layers - config.whole("num_kv_shared_layers", 0, MAX_LAYERS)
    if first < 1 or (first < d.layers and set(types[:first]) != set(types)):
        raise config.malformed(f"{d.layers - first} layers cannot share the keys of the layers before them")
    inner = [d.intermediate] * d.layers if widths is None else [_width(config, one) for one in widths]
    sparse = _sparse(config, d)
    if len(inner) != d.layers or len(sparse) != d.layers:
        raise config.refuse(f"no intermediate_size or activation_sparsity_pattern for each of {d.layers} layers")
    return tuple(
        _Kind(kind == SLIDING, index >= first, width, few)
        for index, (kind, width, few) in enumerate(zip(types, inner, sparse, strict=True))
    )


def _width(config: Config, value: object) -> int:
    return config.given(intermediate_size=value).size("intermediate_size")


def _sparse(config: Config, d: Dimensions) -> tuple[bool, ...]:
    """Which layers let pass only the highest of what the gate gives."""
    listed = config.value("activation_sparsity_pattern")
    if listed is None:
        few = _SPARSE if d.layers > _SPARSE else 0
        return tuple(index < few for index in range(d.layers))
    if not isinstance(listed, list) or not all(isinstance(one, int | float) and 0 <= one < 1 for one in listed):
        raise config.refuse("activation_sparsity_pattern is not a list of shares")
    return tuple(one > 0 for one in listed)


def _of(d: Dimensions, kinds: tuple[_Kind, ...], kind: _Kind) -> tuple[str, ...]:
    return tuple(index for index, other in zip(d.indices, kinds, strict=True) if other == kind)


def _attentions(config: Config, d: Dimensions, kinds: tuple[_Kind, ...]) -> tuple[Module, ...]:
    """Queries of all layers, and keys and values of those that take none of earlier ones."""
    bias, queries, keys = config.flag("attention_bias"), d.heads * d.head_dim, d.key_value_heads * d.head_dim
    own = tuple(index for index, kind in zip(d.indices, kinds, strict=True) if not kind.shared)
    return (
        parts.linear(f"{_ATTENTION}.q_proj", d.hidden, queries, d.indices, bias=bias),
        parts.linear(f"{_ATTENTION}.k_proj", d.hidden, keys, own, bias=bias),
        parts.linear(f"{_ATTENTION}.v_proj", d.hidden, keys, own, bias=bias),
        parts.linear(f"{_ATTENTION}.o_proj", queries, d.hidden, d.indices, bias=bias),
        parts.norm(f"{_ATTENTION}.q_norm", d.head_dim, d.indices),
        parts.norm(f"{_ATTENTION}.k_norm", d.head_dim, own),
    )


def _feed_forwards(d: Dimensions, kinds: tuple[_Kind, ...]) -> tuple[Module, ...]:
    by_width: dict[int, tuple[str, ...]] = {}
    for index, kind in zip(d.indices, kinds, strict=True):
        by_width[kind.intermediate] = (*by_width.get(kind.intermediate, ()), index)
    return tuple(module for width, layers in by_width.items() for module in gated(_MLP, d.hidden, width, layers))


def _layer_inputs(config: Config, d: Dimensions) -> tuple[Module, ...]:
    """What gives each layer an input of its own, of each token: a second embedding and a projection of the first."""
    each, rows = config.size("hidden_size_per_layer_input"), config.size("vocab_size_per_layer_input")
    return (
        parts.embedding("embed_tokens_per_layer", rows, d.layers * each),
        parts.linear("per_layer_model_projection", d.hidden, d.layers * each),
        parts.norm("per_layer_projection_norm", each),
    )


def _gates(config: Config, d: Dimensions) -> tuple[Module, ...]:
    """What adds that input to a layer's result."""
    each = config.size("hidden_size_per_layer_input")
    return (
        parts.linear("layers.{}.per_layer_input_gate", d.hidden, each, d.indices),
        parts.linear("layers.{}.per_layer_projection", each, d.hidden, d.indices),
    )


def _streams(config: Config, d: Dimensions) -> tuple[Module, ...]:
    """What makes several streams of the embeddings and one of them again, and what each layer does with them.

    The last linear of a model whose head is tied is left unquantized (quantizers/base.py, get_keys_to_not_convert).
    """
    tied = config.flag("tie_word_embeddings")
    count, rank = config.whole("altup_num_inputs", 2, _MAX_STREAMS), config.size("laurel_rank")
    others = parts.layer_names(0, count - 1)
    return (
        parts.linear("altup_projections.{}", d.hidden, d.hidden, others),
        *(
            parts.linear("altup_unembed_projections.{}", d.hidden, d.hidden, layers, quantized=quantized)
            for layers, quantized in ((others[:-1], True), (others[-1:], not tied))
            if layers
        ),
        parts.bare(_ALTUP, (Tensor("correct_output_scale", (d.hidden,)),), d.indices),
        parts.linear(f"{_ALTUP}.correction_coefs", count, count, d.indices),
        parts.linear(f"{_ALTUP}.prediction_coefs", count, count**2, d.indices),
        parts.linear(f"{_ALTUP}.modality_router", d.hidden, count, d.indices),
        parts.linear("layers.{}.laurel.linear_left", d.hidden, rank, d.indices),
        parts.linear("layers.{}.laurel.linear_right", rank, d.hidden, d.indices),
    )
