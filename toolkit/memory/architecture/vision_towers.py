"""Vision towers beside SigLIP's, as modules: CLIP, Pixtral, InternViT, Idefics 3, those of Qwen2-VL, 2.5-VL and 3-VL.

Each function reads a vision config; names and defaults are those of transformers 5.23.
"""

from __future__ import annotations

from dataclasses import replace

from toolkit.memory.architecture import parts
from toolkit.memory.architecture.config import MAX_LAYERS, MAX_SIZE, Config
from toolkit.memory.architecture.decoder import gated
from toolkit.memory.architecture.model import Module, Tensor
from toolkit.memory.architecture.siglip import vision_tower

CLIP_DEFAULTS = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_channels": 3,
    "image_size": 224,
    "patch_size": 32,
}
PIXTRAL_DEFAULTS = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_channels": 3,
    "patch_size": 16,
}
IDEFICS3_DEFAULTS = {**CLIP_DEFAULTS, "hidden_size": 1152, "vision_use_head": False}
INTERNVIT_DEFAULTS = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_channels": 3,
    "image_size": 448,
    "patch_size": 14,
    "use_absolute_position_embeddings": True,
    "norm_type": "layer_norm",
}
_QWEN_DEFAULTS = {"depth": 32, "in_channels": 3, "patch_size": 14, "spatial_merge_size": 2, "temporal_patch_size": 2}
QWEN2_VL_DEFAULTS = {**_QWEN_DEFAULTS, "embed_dim": 1280, "hidden_size": 3584, "mlp_ratio": 4}
QWEN2_5_VL_DEFAULTS = {
    **_QWEN_DEFAULTS, "hidden_size": 3584, "intermediate_size": 3420, "out_hidden_size": 3584,
}  # fmt: skip
QWEN3_VL_DEFAULTS = {
    **_QWEN_DEFAULTS,
    "depth": 27,
    "patch_size": 16,
    "hidden_size": 1152,
    "intermediate_size": 4304,
    "out_hidden_size": 3584,
    "num_position_embeddings": 2304,
    "deepstack_visual_indexes": [8, 16, 24],
}

_BLOCK = "blocks.{}"


def clip(config: Config) -> tuple[Module, ...]:
    """CLIP: SigLIP's layers, with a class embedding among the patches, which have no bias, and a norm before."""
    width, patch = config.size("hidden_size"), config.size("patch_size")
    kernel = Tensor("weight", (width, config.size("num_channels"), patch, patch))
    positions = (config.size("image_size") // patch) ** 2 + 1
    layers = tuple(
        module for module in vision_tower(config.given(vision_use_head=False)) if module.path.startswith("encoder")
    )
    return (
        parts.bare("embeddings", (Tensor("class_embedding", (width,)),)),
        parts.bare("embeddings.patch_embedding", (kernel,)),
        parts.embedding("embeddings.position_embedding", positions, width),
        parts.layer_norm("pre_layrnorm", width),
        *layers,
        parts.layer_norm("post_layernorm", width),
    )


def idefics3(config: Config) -> tuple[Module, ...]:
    """Idefics 3 and SmolVLM: SigLIP without a head."""
    return vision_tower(config.given(vision_use_head=False))


def pixtral(config: Config) -> tuple[Module, ...]:
    """Pixtral: rotary positions, gated feed-forwards, RMSNorms, no biases."""
    width, patch = config.size("hidden_size"), config.size("patch_size")
    layers = parts.layer_names(0, config.layers("num_hidden_layers"))
    layer = "transformer.layers.{}"
    kernel = Tensor("weight", (width, config.size("num_channels"), patch, patch))
    return (
        parts.bare("patch_conv", (kernel,)),
        parts.norm("ln_pre", width),
        parts.norm(f"{layer}.attention_norm", width, layers),
        *gated(f"{layer}.feed_forward", width, config.size("intermediate_size"), layers),
        *(parts.linear(f"{layer}.attention.{name}_proj", width, width, layers) for name in "kvqo"),
        parts.norm(f"{layer}.ffn_norm", width, layers),
    )


def internvit(config: Config) -> tuple[Module, ...]:
    """InternViT: a scale of each feature on what attention and feed-forward give."""
    if config.flag("use_mask_token") or not config.flag("use_absolute_position_embeddings"):
        raise config.refuse("a vision tower with mask tokens or without positions is not covered")
    width, inner = config.size("hidden_size"), config.size("intermediate_size")
    patch, image = (side(config, key) for key in ("patch_size", "image_size"))
    layers = parts.layer_names(0, config.layers("num_hidden_layers"))
    layer, bias = "encoder.layer.{}", config.flag("attention_bias")
    embeddings = (
        Tensor("cls_token", (1, 1, width)),
        Tensor("position_embeddings", (1, (image // patch) ** 2 + 1, width)),
    )
    norm = parts.layer_norm if config.word("norm_type") == "layer_norm" else parts.norm
    normed = (f"{layer}.attention.{name}_norm" for name in "qk") if config.flag("use_qk_norm") else ()
    return (
        parts.bare("embeddings", embeddings),
        parts.patches("embeddings.patch_embeddings.projection", config.size("num_channels"), width, patch),
        parts.bare(layer, (Tensor("lambda_1", (width,)), Tensor("lambda_2", (width,))), layers),
        *(parts.linear(f"{layer}.attention.{name}_proj", width, width, layers, bias=bias) for name in "qkv"),
        parts.linear(f"{layer}.attention.projection_layer", width, width, layers, bias=True),
        *(parts.norm(path, width, layers) for path in normed),
        parts.linear(f"{layer}.mlp.fc1", width, inner, layers, bias=True),
        parts.linear(f"{layer}.mlp.fc2", inner, width, layers, bias=True),
        norm(f"{layer}.layernorm_before", width, layers),
        norm(f"{layer}.layernorm_after", width, layers),
        *(() if config.value("use_mean_pooling") is not False else (parts.layer_norm("layernorm", width),)),
    )


def qwen2_vl(config: Config) -> tuple[Module, ...]:
    """Qwen2-VL: LayerNorms, a plain feed-forward, and the merger of neighbouring patches."""
    width = config.size("embed_dim")
    inner = width * config.size("mlp_ratio")
    blocks = parts.layer_names(0, config.layers("depth"))
    return (
        _frames(config, width, bias=False),
        *(parts.layer_norm(f"{_BLOCK}.norm{number}", width, blocks) for number in (1, 2)),
        *_attention(width, blocks),
        parts.linear(f"{_BLOCK}.mlp.fc1", width, inner, blocks, bias=True),
        parts.linear(f"{_BLOCK}.mlp.fc2", inner, width, blocks, bias=True),
        parts.layer_norm("merger.ln_q", width),
        *_merger(config, "merger.mlp.0", "merger.mlp.2", width, config.size("hidden_size")),
    )


def qwen2_5_vl(config: Config) -> tuple[Module, ...]:
    """Qwen2.5-VL: RMSNorms, a gated feed-forward with biases."""
    width = config.size("hidden_size")
    blocks = parts.layer_names(0, config.layers("depth"))
    return (
        _frames(config, width, bias=False),
        *(parts.norm(f"{_BLOCK}.norm{number}", width, blocks) for number in (1, 2)),
        *_attention(width, blocks),
        *gated(f"{_BLOCK}.mlp", width, config.size("intermediate_size"), blocks, bias=True),
        parts.norm("merger.ln_q", width),
        *_merger(config, "merger.mlp.0", "merger.mlp.2", width, config.size("out_hidden_size")),
    )


def qwen3_vl(config: Config) -> tuple[Module, ...]:
    """Qwen3-VL: learned positions, and a merger for each layer whose result goes into the text model, too."""
    width, inner, out = (config.size(key) for key in ("hidden_size", "intermediate_size", "out_hidden_size"))
    blocks = parts.layer_names(0, config.layers("depth"))
    deep = config.value("deepstack_visual_indexes")
    if not isinstance(deep, list) or len(deep) > MAX_LAYERS:
        raise config.refuse("deepstack_visual_indexes is not a list of layers")
    merged = _merged(config, width)
    mergers = parts.layer_names(0, len(deep))
    stem = "deepstack_merger_list.{}"
    merger = (
        parts.layer_norm(f"{stem}.norm", merged, mergers),
        parts.linear(f"{stem}.linear_fc1", merged, merged, mergers, bias=True),
        parts.linear(f"{stem}.linear_fc2", merged, out, mergers, bias=True),
    )
    return (
        _frames(config, width, bias=True),
        parts.embedding("pos_embed", config.size("num_position_embeddings"), width),
        *(parts.layer_norm(f"{_BLOCK}.norm{number}", width, blocks) for number in (1, 2)),
        *_attention(width, blocks),
        parts.linear(f"{_BLOCK}.mlp.linear_fc1", width, inner, blocks, bias=True),
        parts.linear(f"{_BLOCK}.mlp.linear_fc2", inner, width, blocks, bias=True),
        parts.layer_norm("merger.norm", width),
        *_merger(config, "merger.linear_fc1", "merger.linear_fc2", width, out),
        *(merger if deep else ()),
    )


def side(config: Config, key: str) -> int:
    """A side of a square in pixels, as one number or as two that are the same."""
    value = config.value(key)
    if isinstance(value, list) and len(value) == 2 and value[0] == value[1]:
        config = config.given(**{key: value[0]})
    return config.whole(key, 1, MAX_SIZE)


def _frames(config: Config, width: int, *, bias: bool) -> Module:
    """The Conv3d that cuts pairs of frames into patches."""
    patch, frames = config.size("patch_size"), config.size("temporal_patch_size")
    channels = config.size("in_channels") if config.value("in_chans") is None else config.size("in_chans")
    module = parts.bare("patch_embed.proj", (Tensor("weight", (width, channels, frames, patch, patch)),))
    return replace(module, tensors=(*module.tensors, Tensor("bias", (width,)))) if bias else module


def _attention(width: int, blocks: tuple[str, ...]) -> tuple[Module, ...]:
    return (
        parts.linear(f"{_BLOCK}.attn.qkv", width, 3 * width, blocks, bias=True),
        parts.linear(f"{_BLOCK}.attn.proj", width, width, blocks, bias=True),
    )


def _merged(config: Config, width: int) -> int:
    """The width of neighbouring patches side by side."""
    return width * config.size("spatial_merge_size") ** 2


def _merger(config: Config, first: str, second: str, width: int, out: int) -> tuple[Module, ...]:
    merged = _merged(config, width)
    return parts.linear(first, merged, merged, bias=True), parts.linear(second, merged, out, bias=True)
