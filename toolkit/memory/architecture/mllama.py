"""Llama 3.2 with images: LLaMA, some of whose layers attend to an image alone, and are passed over without one.

Source: transformers 5.23 modeling_mllama.py and configuration_mllama.py. `layers` are those that text passes through.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from toolkit.memory.architecture import parts
from toolkit.memory.architecture.config import MAX_LAYERS, Config
from toolkit.memory.architecture.decoder import Dimensions, dimensions, gated, layer_kinds, projections
from toolkit.memory.architecture.heads import BASE, CAUSAL, Body, Head, prefixed
from toolkit.memory.architecture.heads import decoder as with_head
from toolkit.memory.architecture.llama import LLAMA_DEFAULTS
from toolkit.memory.architecture.model import Architecture, FeedForward, Module, Tensor
from toolkit.memory.architecture.vision_language import NOTE

FAMILY = "mllama"

TEXT_DEFAULTS = {
    **LLAMA_DEFAULTS,
    "vocab_size": 128256,
    "intermediate_size": 14336,
    "num_hidden_layers": 40,
    "num_key_value_heads": 8,
    "max_position_embeddings": 131072,
    "cross_attention_layers": [3, 8, 13, 18, 23, 28, 33, 38],
}
VISION_DEFAULTS = {
    "hidden_size": 1280,
    "num_hidden_layers": 32,
    "num_global_layers": 8,
    "num_channels": 3,
    "intermediate_size": 5120,
    "vision_output_dim": 7680,
    "image_size": 448,
    "patch_size": 14,
    "max_num_tiles": 4,
    "supported_aspect_ratios": [[1, 1], [1, 2], [1, 3], [1, 4], [2, 1], [2, 2], [3, 1], [4, 1]],
}
DEFAULTS: dict[str, Any] = {"text_config": {}, "vision_config": {}}
CLASSES = {CAUSAL: "MllamaForConditionalGeneration", BASE: "MllamaModel"}

MORE_ROWS = 8
"""Embeddings beside the vocabulary, of which no logits are made."""

_ATTENTION, _CROSS, _MLP = "layers.{}.self_attn", "layers.{}.cross_attn", "layers.{}.mlp"
_TWO = ("input_layernorm", "post_attention_layernorm")
_PASSED_OVER = "Layers that attend to images are counted in the weights, and passed over: there is no image."


def mllama(config: Config, head: Head) -> Architecture:
    """Llama 3.2 11B and 90B Vision, as they are run on text alone."""
    text = config.part("text_config", "mllama_text_model", TEXT_DEFAULTS).given(tie_word_embeddings=False)
    vision = config.part("vision_config", "mllama_vision_model", VISION_DEFAULTS)
    d = dimensions(text)
    cross = _cross_layers(text, d)
    own = tuple(index for index in d.indices if index not in cross)
    language = (
        parts.embedding("embed_tokens", d.vocabulary + MORE_ROWS, d.hidden),
        *projections(_ATTENTION, d, own),
        *_cross(d, cross),
        *gated(_MLP, d.hidden, d.intermediate, d.indices),
        *(parts.norm(f"layers.{{}}.{name}", d.hidden, d.indices) for name in _TWO),
        parts.norm("norm", d.hidden),
    )
    seen = vision.size("vision_output_dim")
    modules = (
        *prefixed(_vision(vision), "vision_model"),
        parts.linear("multi_modal_projector", seen, d.hidden, bias=True),
        *prefixed(language, "language_model"),
    )
    feed_forward = FeedForward(d.intermediate, gated=True, activation=text.word("hidden_act"))
    kinds = layer_kinds(text, d, (None,) * len(own), (feed_forward,) * len(own), turned=(True,) * len(own))
    body = Body(modules, kinds, d.hidden, d.vocabulary, "model", d.max_positions, notes=(NOTE, _PASSED_OVER))
    made = with_head(config.given(tie_word_embeddings=False), head, body)
    # Only its text model asks its own config (modeling_mllama.py, merge_with_config_defaults).
    return replace(made, caches_in_training=True)


def _cross_layers(config: Config, d: Dimensions) -> tuple[str, ...]:
    listed = config.value("cross_attention_layers")
    if not isinstance(listed, list) or len(listed) > MAX_LAYERS or not all(isinstance(one, int) for one in listed):
        raise config.refuse("cross_attention_layers is not a list of layers")
    found = tuple(index for index in d.indices if int(index) in listed)
    if len(found) != len(listed) or len(found) == d.layers:
        raise config.refuse("cross_attention_layers names other layers than there are, or all of them")
    return found


def _cross(d: Dimensions, layers: tuple[str, ...]) -> tuple[Module, ...]:
    """Attention to an image, with norms of each head, and a gate for it and for the feed-forward."""
    gates = (Tensor("cross_attn_attn_gate", (1,)), Tensor("cross_attn_mlp_gate", (1,)))
    return (
        *projections(_CROSS, d, layers),
        parts.norm(f"{_CROSS}.q_norm", d.head_dim, layers),
        parts.norm(f"{_CROSS}.k_norm", d.head_dim, layers),
        parts.bare("layers.{}", gates, layers),
    )


def _vision(config: Config) -> tuple[Module, ...]:
    """Patches of several tiles with their places in an image, encoder layers, and gated ones over all tiles."""
    width, patch, tiles = (config.size(key) for key in ("hidden_size", "patch_size", "max_num_tiles"))
    ratios = config.value("supported_aspect_ratios")
    if not isinstance(ratios, list):
        raise config.refuse("supported_aspect_ratios is not a list")
    rows, places = len(ratios) + 1, (config.size("image_size") // patch) ** 2 + 1
    kernel, gate = (width, config.size("num_channels"), patch, patch), Tensor("gate", (1,))
    tile = "gated_positional_embedding"
    around = ("pre_tile_positional_embedding", "post_tile_positional_embedding")
    return (
        parts.bare("", (Tensor("class_embedding", (width,)),)),
        parts.bare("patch_embedding", (Tensor("weight", kernel),)),
        parts.bare(tile, (gate, Tensor("embedding", (places, width)))),
        parts.embedding(f"{tile}.tile_embedding", rows, tiles * places * width),
        *(parts.bare(name, (gate,)) for name in around),
        *(parts.embedding(f"{name}.embedding", rows, tiles * width) for name in around),
        parts.layer_norm("layernorm_pre", width),
        parts.layer_norm("layernorm_post", width),
        *_encoder(config, "transformer", config.layers("num_hidden_layers"), gates=()),
        *_encoder(config, "global_transformer", config.layers("num_global_layers"), gates=("gate_attn", "gate_ffn")),
    )


def _encoder(config: Config, name: str, count: int, *, gates: tuple[str, ...]) -> tuple[Module, ...]:
    width, inner, layers = config.size("hidden_size"), config.size("intermediate_size"), parts.layer_names(0, count)
    path = f"{name}.layers.{{}}"
    return (
        *((parts.bare(path, tuple(Tensor(gate, (1,)) for gate in gates), layers),) if gates else ()),
        *(parts.linear(f"{path}.self_attn.{one}_proj", width, width, layers) for one in "qkvo"),
        parts.linear(f"{path}.mlp.fc1", width, inner, layers, bias=True),
        parts.linear(f"{path}.mlp.fc2", inner, width, layers, bias=True),
        *(parts.layer_norm(f"{path}.{norm}", width, layers) for norm in _TWO),
    )
