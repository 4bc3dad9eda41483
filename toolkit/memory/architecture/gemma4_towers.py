"""Gemma 4 with what reads images and sounds: towers, or for 12B, which is unified, embeddings alone.

Source: transformers 5.23 modeling_gemma4.py and modeling_gemma4_unified.py. `layers` are those of the text model.
"""

from __future__ import annotations

from dataclasses import replace

from toolkit.memory.architecture import parts
from toolkit.memory.architecture.config import MAX_SIZE, Config
from toolkit.memory.architecture.gemma4 import GEMMA4_TEXT_DEFAULTS, UNIFIED_TEXT_DEFAULTS, gemma4_text
from toolkit.memory.architecture.heads import BASE, Body, Head, prefixed
from toolkit.memory.architecture.heads import decoder as with_head
from toolkit.memory.architecture.model import Architecture, LayerKind, Module, Tensor
from toolkit.memory.architecture.vision_language import NOTE

VISION_DEFAULTS = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 16,
    "num_attention_heads": 12,
    "num_key_value_heads": 12,
    "head_dim": 64,
    "patch_size": 16,
    "position_embedding_size": 10240,
}
AUDIO_DEFAULTS = {
    "hidden_size": 1024,
    "num_hidden_layers": 12,
    "num_attention_heads": 8,
    "subsampling_conv_channels": [128, 32],
    "conv_kernel_size": 5,
    "output_proj_dims": 1536,
}
UNIFIED_VISION_DEFAULTS = {
    "patch_size": 16,
    "pooling_kernel_size": 3,
    "mm_embed_dim": 3840,
    "mm_posemb_size": 1120,
    "output_proj_dims": 3840,
}
UNIFIED_AUDIO_DEFAULTS = {"output_proj_dims": 640}
GEMMA4_DEFAULTS = {"tie_word_embeddings": True}

_FOUR = ("input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm")
_LAYER = "layers.{}"


def gemma4(config: Config, head: Head) -> Architecture:
    """Gemma 4 with a vision tower and an audio tower, where its config has such."""
    text = config.part("text_config", "gemma4_text", GEMMA4_TEXT_DEFAULTS)
    modules: tuple[Module, ...] = ()
    if config.value("vision_config") is not None:
        vision = config.part("vision_config", "gemma4_vision", VISION_DEFAULTS)
        modules += prefixed(_vision(vision), "vision_tower")
        modules += _projection("embed_vision", vision.size("hidden_size"), text)
    if config.value("audio_config") is not None:
        audio = config.part("audio_config", "gemma4_audio", AUDIO_DEFAULTS)
        modules += prefixed(_audio(audio), "audio_tower")
        modules += _projection("embed_audio", audio.size("output_proj_dims"), text)
    return _with_text(config, head, text, modules)


def gemma4_unified(config: Config, head: Head) -> Architecture:
    """Gemma 4 12B, whose patches and frames of sound are projected into the width of the text model."""
    text = config.part("text_config", "gemma4_unified_text", UNIFIED_TEXT_DEFAULTS)
    modules: tuple[Module, ...] = ()
    if config.value("vision_config") is not None:
        vision = config.part("vision_config", "gemma4_unified_vision", UNIFIED_VISION_DEFAULTS)
        modules += prefixed(_patches(vision, text), "embed_vision")
    if config.value("audio_config") is not None:
        audio = config.part("audio_config", "gemma4_unified_audio", UNIFIED_AUDIO_DEFAULTS)
        modules += _projection("embed_audio", audio.size("output_proj_dims"), text)
    return _with_text(config, head, text, modules)


def _with_text(config: Config, head: Head, text: Config, modules: tuple[Module, ...]) -> Architecture:
    inner = gemma4_text(text, Head(BASE, 0, ""))
    if modules:  # of which the last is left as it is (transformers quantizers/base.py, get_keys_to_not_convert)
        modules = (*modules[:-1], replace(modules[-1], quantized=False))
    body = Body(
        (*modules, *prefixed(inner.modules, "language_model")),
        tuple(_sees(text, kind) for kind in inner.layers),
        inner.hidden,
        inner.vocabulary,
        "model",
        inner.max_positions,
        logit_softcap=text.value("final_logit_softcapping") is not None,
        order=inner.order,
        notes=(NOTE,),
    )
    return replace(with_head(config, head, body), family=inner.family, older_names=False)


def _sees(text: Config, kind: LayerKind) -> LayerKind:
    """A kind of layers whose masks let images be seen whole; some releases make them whether or not there are any."""
    if text.value("use_bidirectional_attention") != "vision":
        return kind
    return replace(kind, attention=replace(kind.attention, always_masked=True))


def _projection(path: str, inputs: int, text: Config) -> tuple[Module, ...]:
    return (parts.linear(f"{path}.embedding_projection", inputs, text.size("hidden_size")),)


def _vision(config: Config) -> tuple[Module, ...]:
    """Patches as a linear, positions of both axes, gated feed-forwards, four norms; each linear is inside another."""
    width, inner, head = (config.size(key) for key in ("hidden_size", "intermediate_size", "head_dim"))
    layers = parts.layer_names(0, config.layers("num_hidden_layers"))
    queries, keys = (config.heads(f"num_{name}_heads") * head for name in ("attention", "key_value"))
    patch, layer = config.size("patch_size"), f"encoder.{_LAYER}"
    table = Tensor("position_embedding_table", (2, config.size("position_embedding_size"), width))
    products = {
        "self_attn.q_proj": (width, queries),
        "self_attn.k_proj": (width, keys),
        "self_attn.v_proj": (width, keys),
        "self_attn.o_proj": (queries, width),
        "mlp.gate_proj": (width, inner),
        "mlp.up_proj": (width, inner),
        "mlp.down_proj": (inner, width),
    }
    return (
        parts.bare("patch_embedder", (table,)),
        parts.linear("patch_embedder.input_proj", 3 * patch**2, width),
        *(parts.linear(f"{layer}.{name}.linear", *sides, layers) for name, sides in products.items()),
        *(parts.norm(f"{layer}.self_attn.{name}_norm", head, layers) for name in "qk"),
        *(parts.norm(f"{layer}.{name}", width, layers) for name in _FOUR),
    )


def _audio(config: Config) -> tuple[Module, ...]:
    """A Conformer: two convolutions, then layers of two feed-forwards around attention and a convolution."""
    width, heads = config.size("hidden_size"), config.heads("num_attention_heads")
    channels = config.value("subsampling_conv_channels")
    if not isinstance(channels, list) or len(channels) != 2 or not all(_is_size(each) for each in channels):
        raise config.refuse("subsampling_conv_channels is not two numbers of channels")
    if width % heads:
        raise config.malformed(f"a hidden size of {width} cannot be split into {heads} attention heads")
    first, second = channels
    layers = parts.layer_names(0, config.layers("num_hidden_layers"))
    stem, attention = "subsample_conv_projection", f"{_LAYER}.self_attn"
    return (
        parts.bare(f"{stem}.layer0.conv", (Tensor("weight", (first, 1, 3, 3)),)),
        parts.norm(f"{stem}.layer0.norm", first),
        parts.bare(f"{stem}.layer1.conv", (Tensor("weight", (second, first, 3, 3)),)),
        parts.norm(f"{stem}.layer1.norm", second),
        parts.linear(f"{stem}.input_proj_linear", first // 4 * second, width),
        *(module for name in ("feed_forward1", "feed_forward2") for module in _feed_forward(name, width, layers)),
        parts.bare(attention, (Tensor("per_dim_scale", (width // heads,)),), layers),
        *(parts.linear(f"{attention}.{name}.linear", width, width, layers) for name in _OF_ATTENTION),
        parts.linear(f"{attention}.relative_k_proj", width, width, layers),
        *_convolution(config, width, layers),
        *(parts.norm(f"{_LAYER}.{name}", width, layers) for name in ("norm_pre_attn", "norm_post_attn", "norm_out")),
        parts.linear("output_proj", width, config.size("output_proj_dims"), bias=True),
    )


_OF_ATTENTION = ("q_proj", "k_proj", "v_proj", "post")


def _is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 4 <= value <= MAX_SIZE


def _feed_forward(name: str, width: int, layers: tuple[str, ...]) -> tuple[Module, ...]:
    path = f"{_LAYER}.{name}"
    return (
        parts.linear(f"{path}.ffw_layer_1.linear", width, 4 * width, layers),
        parts.linear(f"{path}.ffw_layer_2.linear", 4 * width, width, layers),
        parts.norm(f"{path}.pre_layer_norm", width, layers),
        parts.norm(f"{path}.post_layer_norm", width, layers),
    )


def _convolution(config: Config, width: int, layers: tuple[str, ...]) -> tuple[Module, ...]:
    path = f"{_LAYER}.lconv1d"
    kernel = Tensor("weight", (width, 1, config.size("conv_kernel_size")))
    return (
        parts.linear(f"{path}.linear_start.linear", width, 2 * width, layers),
        parts.linear(f"{path}.linear_end.linear", width, width, layers),
        parts.bare(f"{path}.depthwise_conv1d", (kernel,), layers),
        parts.norm(f"{path}.pre_layer_norm", width, layers),
        parts.norm(f"{path}.conv_norm", width, layers),
    )


def _patches(config: Config, text: Config) -> tuple[Module, ...]:
    """Raw patches: a norm, a linear, a norm, positions, a norm, and a projection."""
    side = config.size("patch_size") * config.size("pooling_kernel_size")
    pixels, width = 3 * side**2, config.size("mm_embed_dim")
    positions = Tensor("pos_embedding", (config.size("mm_posemb_size"), 2, width))
    return (
        parts.bare("", (positions,)),
        parts.layer_norm("patch_ln1", pixels),
        parts.linear("patch_dense", pixels, width, bias=True),
        parts.layer_norm("patch_ln2", width),
        parts.layer_norm("pos_norm", width),
        *_projection("multimodal_embedder", config.size("output_proj_dims"), text),
    )
