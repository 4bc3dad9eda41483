"""Llama 4: a mixture in every layer or in every other one, and, around the text model, a tower that reads images.

Source: transformers 5.23 modeling_llama4.py and configuration_llama4.py.
"""

from __future__ import annotations

from collections import Counter

from toolkit.memory.architecture import parts
from toolkit.memory.architecture.config import MAX_LAYERS, Config
from toolkit.memory.architecture.decoder import Dimensions, attention, dimensions, gated, norms, order_of, projections
from toolkit.memory.architecture.heads import BASE, CAUSAL, Body, Head, assemble, prefixed
from toolkit.memory.architecture.heads import decoder as with_head
from toolkit.memory.architecture.mixture import chosen_experts
from toolkit.memory.architecture.model import Architecture, Attention, FeedForward, LayerKind, Module, Tensor
from toolkit.memory.architecture.vision_language import NOTE

LLAMA4_TEXT_DEFAULTS = {
    "vocab_size": 202048,
    "hidden_size": 5120,
    "intermediate_size": 8192,
    "intermediate_size_mlp": 16384,
    "num_hidden_layers": 48,
    "num_attention_heads": 40,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "hidden_act": "silu",
    "max_position_embeddings": 131072,
    "tie_word_embeddings": False,
    "num_experts_per_tok": 1,
    "num_local_experts": 16,
    "interleave_moe_layer_step": 1,
    "no_rope_layer_interval": 4,
    "attention_chunk_size": 8192,
    "use_qk_norm": True,
    "attn_temperature_tuning": True,
}
LLAMA4_VISION_DEFAULTS = {
    "hidden_size": 768,
    "num_hidden_layers": 34,
    "num_channels": 3,
    "intermediate_size": 5632,
    "vision_output_dim": 7680,
    "image_size": 448,
    "patch_size": 14,
    "projector_input_dim": 4096,
    "projector_output_dim": 4096,
}
FAMILY = "llama4_text"
"""The type of the text models, whose passes are followed."""

TEXT_CLASSES = {CAUSAL: "Llama4ForCausalLM", BASE: "Llama4TextModel"}
IMAGE_CLASSES = {CAUSAL: "Llama4ForConditionalGeneration"}

_ATTENTION, _FEED = "layers.{}.self_attn", "layers.{}.feed_forward"


def llama4_text(config: Config, head: Head) -> Architecture:
    """The text models of Scout and Maverick: experts are fused, a router is a linear, one expert takes every token."""
    d = dimensions(config)
    bias = config.flag("attention_bias")
    mixed = _in_mixture(config, d.layers)
    sparse = tuple(index for index, one in zip(d.indices, mixed, strict=True) if one)
    dense = tuple(index for index, one in zip(d.indices, mixed, strict=True) if not one)
    modules = (
        parts.embedding("embed_tokens", d.vocabulary, d.hidden),
        *projections(_ATTENTION, d, d.indices, bias=bias, output_bias=bias),
        *(gated(_FEED, d.hidden, config.size("intermediate_size_mlp"), dense) if dense else ()),
        *(_mixture(config, d, sparse) if sparse else ()),
        *norms(d, "input_layernorm", "post_attention_layernorm"),
        parts.norm("norm", d.hidden),
    )
    kinds = tuple(zip(mixed, _chunks(config, d.layers), strict=True))
    layers = tuple(
        LayerKind(count, _as_attention(config, d, chunk), _feed_forward(config, d, mixture=one))
        for (one, chunk), count in Counter(kinds).items()
    )
    body = Body(modules, layers, d.hidden, d.vocabulary, "model", d.max_positions, order=order_of(kinds))
    return with_head(config, head, body)


def llama4(config: Config, head: Head) -> Architecture:
    """Scout and Maverick: the text model with its head, the tower and a linear between them."""
    said = config.value("text_config")
    if not isinstance(said, dict):
        raise config.refuse("the config has no text_config")
    text = Config(config.name, FAMILY, said, LLAMA4_TEXT_DEFAULTS)
    inner = llama4_text(text, Head(CAUSAL, 0, TEXT_CLASSES[CAUSAL]))
    vision = config.part("vision_config", "llama4_vision_model", LLAMA4_VISION_DEFAULTS)
    modules = (
        *prefixed(_tower(vision), "vision_model"),
        parts.linear("multi_modal_projector.linear_1", vision.size("vision_output_dim"), inner.hidden),
        *prefixed(inner.modules, "language_model"),
    )
    body = Body(
        (), inner.layers, inner.hidden, inner.vocabulary, "", inner.max_positions, order=inner.order, notes=(NOTE,)
    )
    tied = tuple(f"language_model.{name}" for name in inner.tied)
    return assemble(text, head, body, modules, tied)


def _in_mixture(config: Config, layers: int) -> tuple[bool, ...]:
    """Which layers have experts: those of `moe_layers`, else every so many-th."""
    listed = config.value("moe_layers")
    if listed is None:
        step = config.whole("interleave_moe_layer_step", 1, MAX_LAYERS)
        return tuple((index + 1) % step == 0 for index in range(layers))
    if not isinstance(listed, list) or len(listed) > MAX_LAYERS:
        raise config.refuse("moe_layers is not a list of layers")
    return tuple(index in listed for index in range(layers))


def _chunks(config: Config, layers: int) -> tuple[int | None, ...]:
    """The chunk that a layer attends within: those without rotary embedding attend to all."""
    chunk, listed = config.size("attention_chunk_size"), config.value("no_rope_layers")
    if listed:
        if not isinstance(listed, list) or len(listed) < layers:
            raise config.refuse(f"no_rope_layers is not a list of the {layers} layers")
        return tuple(chunk if turned else None for turned in listed[:layers])
    every = config.whole("no_rope_layer_interval", 1, MAX_LAYERS)
    return tuple(chunk if (index + 1) % every else None for index in range(layers))


def _as_attention(config: Config, d: Dimensions, chunk: int | None) -> Attention:
    """Queries and keys are normed where they are turned; else queries are multiplied by a number of their position."""
    turned = chunk is not None
    return attention(
        config,
        d,
        chunk,
        turned=turned,
        query_norm=turned and config.flag("use_qk_norm"),
        scaled=not turned and bool(config.value("attn_temperature_tuning")),
    )


def _feed_forward(config: Config, d: Dimensions, *, mixture: bool) -> FeedForward:
    activation = config.word("hidden_act")
    if not mixture:
        return FeedForward(config.size("intermediate_size_mlp"), True, activation)
    experts = config.experts("num_local_experts")
    return FeedForward(d.intermediate, True, activation, experts, chosen_experts(config, experts), d.intermediate)


def _mixture(config: Config, d: Dimensions, layers: tuple[str, ...]) -> tuple[Module, ...]:
    experts = config.experts("num_local_experts")
    tensors = (
        Tensor("gate_up_proj", (experts, d.hidden, 2 * d.intermediate)),
        Tensor("down_proj", (experts, d.intermediate, d.hidden)),
    )
    return (
        parts.experts(f"{_FEED}.experts", tensors, layers),
        parts.linear(f"{_FEED}.router", d.hidden, experts, layers, quantized=False),
        *gated(f"{_FEED}.shared_expert", d.hidden, d.intermediate, layers),
    )


def _tower(vision: Config) -> tuple[Module, ...]:
    width, inner = vision.size("hidden_size"), vision.size("intermediate_size")
    patch, joined = vision.size("patch_size"), vision.size("projector_output_dim")
    patches = (vision.size("image_size") // patch) ** 2 + 1
    layers = parts.layer_names(0, vision.layers("num_hidden_layers"))
    path = "model.layers.{}"
    return (
        parts.bare("", (Tensor("class_embedding", (width,)), Tensor("positional_embedding_vlm", (patches, width)))),
        parts.linear("patch_embedding.linear", vision.size("num_channels") * patch**2, width),
        parts.layer_norm("layernorm_pre", width),
        parts.layer_norm("layernorm_post", width),
        *(parts.linear(f"{path}.self_attn.{name}_proj", width, width, layers, bias=True) for name in "qkvo"),
        parts.linear(f"{path}.mlp.fc1", width, inner, layers, bias=True),
        parts.linear(f"{path}.mlp.fc2", inner, width, layers, bias=True),
        parts.layer_norm(f"{path}.input_layernorm", width, layers),
        parts.layer_norm(f"{path}.post_attention_layernorm", width, layers),
        parts.linear("vision_adapter.mlp.fc1", inner, vision.size("projector_input_dim"), bias=False),
        parts.linear("vision_adapter.mlp.fc2", joined, joined, bias=False),
    )
