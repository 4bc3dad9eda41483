"""The SigLIP vision tower of Gemma 3."""

from __future__ import annotations

from toolkit.memory.architecture import parts
from toolkit.memory.architecture.config import Config
from toolkit.memory.architecture.model import Module

SIGLIP_DEFAULTS = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "num_channels": 3,
    "image_size": 224,
    "patch_size": 16,
    "vision_use_head": True,
}


def vision_tower(config: Config) -> tuple[Module, ...]:
    """Patches, positions, encoder layers with biased projections and a plain feed-forward, a last norm."""
    if config.flag("vision_use_head"):
        raise config.refuse("a vision tower with a pooling head (vision_use_head) is not covered")
    width, inner = config.size("hidden_size"), config.size("intermediate_size")
    patch, image = config.size("patch_size"), config.size("image_size")
    layers = parts.layer_names(0, config.layers("num_hidden_layers"))
    layer = "encoder.layers.{}"
    attention = (f"{layer}.self_attn.{name}" for name in ("k_proj", "v_proj", "q_proj", "out_proj"))
    return (
        parts.patches("embeddings.patch_embedding", config.size("num_channels"), width, patch),
        parts.embedding("embeddings.position_embedding", (image // patch) ** 2, width),
        *(parts.linear(path, width, width, layers, bias=True) for path in attention),
        parts.layer_norm(f"{layer}.layer_norm1", width, layers),
        parts.layer_norm(f"{layer}.layer_norm2", width, layers),
        parts.linear(f"{layer}.mlp.fc1", width, inner, layers, bias=True),
        parts.linear(f"{layer}.mlp.fc2", inner, width, layers, bias=True),
        parts.layer_norm("post_layernorm", width),
    )
