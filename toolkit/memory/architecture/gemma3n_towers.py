"""Gemma 3n with its towers: MobileNet V5, through which it sees, and conformers, through which it hears.

Source: transformers 5.23 modeling_gemma3n.py, Gemma3nForConditionalGeneration. `layers` are those of the text model.
"""

from __future__ import annotations

from dataclasses import replace

from toolkit.memory.architecture import parts
from toolkit.memory.architecture.config import Config
from toolkit.memory.architecture.gemma3n import FAMILY, GEMMA3N_TEXT_DEFAULTS, gemma3n_text
from toolkit.memory.architecture.heads import BASE, CAUSAL, Head, prefixed
from toolkit.memory.architecture.mobilenet import OUT, mobilenet
from toolkit.memory.architecture.model import Architecture, Module, ModuleKind, Tensor
from toolkit.memory.architecture.vision_language import NOTE

VISION_DEFAULTS = {"architecture": "mobilenetv5_300m_enc", "hidden_size": 2048, "vocab_size": 128}
AUDIO_DEFAULTS = {
    "vocab_size": 128,
    "input_feat_size": 128,
    "hidden_size": 1536,
    "conf_num_attention_heads": 8,
    "conf_num_hidden_layers": 12,
    "conf_conv_kernel_size": 5,
    "sscp_conv_channel_size": [128, 32],
}
DEFAULTS = {"tie_word_embeddings": True, "vision_config": {}, "audio_config": {}, "text_config": {}}
IMAGE_CLASSES = {CAUSAL: "Gemma3nForConditionalGeneration", BASE: "Gemma3nModel"}

_CONFORMER = "conformer.{}"
_STRIDES = 2 * 2
_KERNEL = 3


def gemma3n(config: Config, head: Head) -> Architecture:
    """Gemma 3n; its towers are always there."""
    text = config.part("text_config", FAMILY, GEMMA3N_TEXT_DEFAULTS)
    vision = config.part("vision_config", "gemma3n_vision", VISION_DEFAULTS)
    audio = config.part("audio_config", "gemma3n_audio", AUDIO_DEFAULTS)
    if vision.word("architecture") != "mobilenetv5_300m_enc" or vision.size("hidden_size") != OUT:
        raise config.refuse("a vision tower that is not MobileNet V5 300M is not covered")
    text = text.given(tie_word_embeddings=config.flag("tie_word_embeddings"))
    inner = gemma3n_text(text, Head(head.kind, head.labels, head.class_name))
    beside, own = [], []
    for module in inner.modules:
        path = module.path.removeprefix("model.")
        if module.kind is ModuleKind.HEAD:
            own.append(module)
        else:
            beside.append(replace(module, path=f"language_model.{path}", quantized=True))
    modules: tuple[Module, ...] = (
        *mobilenet("vision_tower.timm_model"),
        *beside,
        *prefixed(_audio(audio), "audio_tower"),
        *_embedder("embed_vision", vision, text, last=False),
        *_embedder("embed_audio", audio, text, last=config.flag("tie_word_embeddings")),
    )
    inside = modules if head.kind == BASE else prefixed(modules, "model")
    return replace(inner, modules=(*inside, *own), notes=(NOTE,))


def _embedder(path: str, config: Config, text: Config, *, last: bool) -> tuple[Module, ...]:
    """What makes embeddings of what a tower gives; the last linear is not quantized (get_keys_to_not_convert)."""
    width = config.size("hidden_size")
    return (
        parts.embedding(f"{path}.embedding", config.size("vocab_size"), width),
        parts.norm(f"{path}.hard_embedding_norm", width),
        parts.norm(f"{path}.soft_embedding_norm", width),
        parts.linear(f"{path}.embedding_projection", width, text.size("hidden_size"), quantized=not last),
    )


def _audio(config: Config) -> tuple[Module, ...]:
    """Two convolutions, a projection, and conformers of two halves of a feed-forward around attention and another."""
    width, layers = config.size("hidden_size"), parts.layer_names(0, config.layers("conf_num_hidden_layers"))
    channels = config.value("sscp_conv_channel_size")
    if not isinstance(channels, list) or len(channels) != 2 or not all(isinstance(one, int) for one in channels):
        raise config.refuse("sscp_conv_channel_size is not a pair of numbers")
    first, second = channels
    head = width // config.heads("conf_num_attention_heads")
    start, attention, convolution = "subsample_conv_projection", f"{_CONFORMER}.attention", f"{_CONFORMER}.lconv1d"
    kernel = Tensor("weight", (width, 1, config.size("conf_conv_kernel_size")))
    return (
        parts.bare(f"{start}.conv_0.conv", (Tensor("weight", (first, 1, _KERNEL, _KERNEL)),)),
        parts.norm(f"{start}.conv_0.norm", first),
        parts.bare(f"{start}.conv_1.conv", (Tensor("weight", (second, first, _KERNEL, _KERNEL)),)),
        parts.norm(f"{start}.conv_1.norm", second),
        parts.linear(f"{start}.input_proj_linear", second * config.size("input_feat_size") // _STRIDES, width),
        *_half("ffw_layer_start", width, layers),
        parts.norm(f"{attention}.pre_attn_norm", width, layers),
        parts.bare(f"{attention}.attn", (Tensor("per_dim_scale", (head,)),), layers),
        parts.linear(f"{attention}.attn.relative_position_embedding.pos_proj", width, width, layers),
        *(parts.linear(f"{attention}.attn.{name}_proj", width, width, layers) for name in "qkv"),
        parts.linear(f"{attention}.post", width, width, layers),
        parts.norm(f"{attention}.post_norm", width, layers),
        parts.norm(f"{convolution}.pre_layer_norm", width, layers),
        parts.linear(f"{convolution}.linear_start", width, 2 * width, layers),
        parts.bare(f"{convolution}.depthwise_conv1d", (kernel,), layers),
        parts.norm(f"{convolution}.conv_norm", width, layers),
        parts.linear(f"{convolution}.linear_end", width, width, layers),
        *_half("ffw_layer_end", width, layers),
        parts.norm(f"{_CONFORMER}.norm", width, layers),
    )


def _half(name: str, width: int, layers: tuple[str, ...]) -> tuple[Module, ...]:
    path = f"{_CONFORMER}.{name}"
    return (
        parts.norm(f"{path}.pre_layer_norm", width, layers),
        parts.linear(f"{path}.ffw_layer_1", width, 4 * width, layers),
        parts.linear(f"{path}.ffw_layer_2", 4 * width, width, layers),
        parts.norm(f"{path}.post_layer_norm", width, layers),
    )
