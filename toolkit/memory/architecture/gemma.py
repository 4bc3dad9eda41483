"""Gemma, Gemma 2, and Gemma 3 with and without its vision tower."""

from __future__ import annotations

from dataclasses import replace

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
    stacked,
)
from toolkit.memory.architecture.heads import Body, Head, prefixed
from toolkit.memory.architecture.heads import decoder as with_head
from toolkit.memory.architecture.llama import surrounding_norms
from toolkit.memory.architecture.model import Architecture, FeedForward, LayerKind, Module, Tensor
from toolkit.memory.architecture.siglip import SIGLIP_DEFAULTS, vision_tower

GEMMA_DEFAULTS = {
    "vocab_size": 256000,
    "hidden_size": 3072,
    "intermediate_size": 24576,
    "num_hidden_layers": 28,
    "num_attention_heads": 16,
    "num_key_value_heads": 16,
    "head_dim": 256,
    "hidden_act": "gelu_pytorch_tanh",
    "max_position_embeddings": 8192,
    "attention_bias": False,
    "tie_word_embeddings": True,
}

GEMMA2_DEFAULTS = {
    "vocab_size": 256000,
    "hidden_size": 2304,
    "intermediate_size": 9216,
    "num_hidden_layers": 26,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 256,
    "hidden_activation": "gelu_pytorch_tanh",
    "max_position_embeddings": 8192,
    "sliding_window": 4096,
    "attention_bias": False,
    "tie_word_embeddings": True,
    "final_logit_softcapping": 30.0,
    "attn_logit_softcapping": 50.0,
}

GEMMA3_TEXT_DEFAULTS = {
    **GEMMA2_DEFAULTS,
    "vocab_size": 262208,
    "max_position_embeddings": 131072,
    "sliding_window_pattern": 6,
    "final_logit_softcapping": None,
    "attn_logit_softcapping": None,
}

GEMMA3_DEFAULTS = {"tie_word_embeddings": True}


def gemma(config: Config, head: Head) -> Architecture:
    """Gemma 1: two norms a layer, full attention."""
    d = dimensions(config)
    modules = (*_projections(config, d), *surrounding_norms(d), parts.norm("norm", d.hidden))
    activation = config.word("hidden_act")
    # The official files say "gelu" and mean the tanh approximation; transformers reads it so.
    tanh = "gelu_pytorch_tanh" if activation == "gelu" else activation
    feed_forward = FeedForward(d.intermediate, gated=True, activation=tanh)
    layers = layer_kinds(config, d, (None,) * d.layers, feed_forward)
    body = Body(modules, layers, d.hidden, d.vocabulary, "model", d.max_positions)
    return with_head(config, head, body)


def gemma2(config: Config, head: Head) -> Architecture:
    """Gemma 2: four norms a layer, a window in every other layer, soft caps on scores and logits."""
    d = dimensions(config)
    alternate = tuple(FULL if index % 2 else SLIDING for index in range(d.layers))
    return with_head(config, head, _four_norms(config, d, alternate, query_norm=False))


def vaultgemma(config: Config, head: Head) -> Architecture:
    """VaultGemma 1B: Gemma 2 without the norms on what attention and feed-forward give."""
    d = dimensions(config)
    alternate = tuple(FULL if index % 2 else SLIDING for index in range(d.layers))
    inner = (
        *_projections(config, d)[1:],
        *norms(d, "input_layernorm", "pre_feedforward_layernorm"),
    )
    feed_forward = FeedForward(d.intermediate, gated=True, activation=config.word("hidden_activation"))
    caps = config.value("attn_logit_softcapping") is not None
    windows = layer_windows(config, d.layers, alternate)
    kinds = layer_kinds(config, d, windows, feed_forward, softcap=caps)
    capped = config.value("final_logit_softcapping") is not None
    return stacked(config, head, d, inner, kinds, logit_softcap=capped, order=order_of(windows))


def gemma3_text(config: Config, head: Head) -> Architecture:
    """The text model of Gemma 3: norms on queries and keys, five layers of six with a window."""
    return with_head(config, head, _text_body(config))


def gemma3(config: Config, head: Head) -> Architecture:
    """Gemma 3 with its vision tower; `layers` are those of the text model, which text passes through."""
    text = config.part("text_config", "gemma3_text", GEMMA3_TEXT_DEFAULTS)
    vision = config.part("vision_config", "siglip_vision_model", SIGLIP_DEFAULTS)
    body = _text_body(text)
    width = vision.size("hidden_size")
    modules = (
        *prefixed(vision_tower(vision), "vision_tower"),
        parts.bare("multi_modal_projector", (Tensor("mm_input_projection_weight", (width, body.hidden)),)),
        parts.norm("multi_modal_projector.mm_soft_emb_norm", width),
        *prefixed(body.modules, "language_model"),
    )
    notes = ("The vision tower is stored and counted; steps on text alone do not run it.",)
    whole = replace(body, modules=modules, notes=notes)
    # Only its text model asks its own config (modeling_gemma3.py, merge_with_config_defaults).
    return replace(with_head(config, head, whole), caches_in_training=True)


def _text_body(config: Config) -> Body:
    d = dimensions(config)
    every = config.whole("sliding_window_pattern", 1, MAX_LAYERS)
    pattern = tuple(SLIDING if (index + 1) % every else FULL for index in range(d.layers))
    return _four_norms(config, d, pattern, query_norm=True)


def _four_norms(config: Config, d: Dimensions, pattern: tuple[str, ...], *, query_norm: bool) -> Body:
    more = ("pre_feedforward_layernorm", "post_feedforward_layernorm")
    modules = (
        *_projections(config, d),
        *(query_key_norms("layers.{}.self_attn", d, d.indices) if query_norm else ()),
        *surrounding_norms(d),
        *(parts.norm(f"layers.{{}}.{name}", d.hidden, d.indices) for name in more),
        parts.norm("norm", d.hidden),
    )
    windows = layer_windows(config, d.layers, pattern)
    layers = layer_kinds(
        config,
        d,
        windows,
        FeedForward(d.intermediate, gated=True, activation=config.word("hidden_activation")),
        norms=4,
        query_norm=query_norm,
        softcap=config.value("attn_logit_softcapping") is not None,
    )
    return capped_body(config, d, modules, layers, order_of(windows))


def capped_body(
    config: Config, d: Dimensions, modules: tuple[Module, ...], layers: tuple[LayerKind, ...], order: tuple[int, ...]
) -> Body:
    """The body of a text model whose logits a softcap bounds where the config has one."""
    capped = config.value("final_logit_softcapping") is not None
    return Body(
        modules, layers, d.hidden, d.vocabulary, "model", d.max_positions, logit_softcap=capped, order=order
    )  # fmt: skip


def _projections(config: Config, d: Dimensions) -> tuple[Module, ...]:
    bias = config.flag("attention_bias")
    return (
        parts.embedding("embed_tokens", d.vocabulary, d.hidden),
        *projections("layers.{}.self_attn", d, d.indices, bias=bias, output_bias=bias),
        *gated("layers.{}.mlp", d.hidden, d.intermediate, d.indices),
    )
