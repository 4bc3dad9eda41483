"""The table of models that read images and text."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from toolkit.memory.architecture import vision_towers as towers
from toolkit.memory.architecture.config import Config
from toolkit.memory.architecture.family import Family
from toolkit.memory.architecture.heads import BASE, CAUSAL, Head
from toolkit.memory.architecture.llama import QWEN2_DEFAULTS, QWEN3_DEFAULTS
from toolkit.memory.architecture.mixture import QWEN3_MOE_DEFAULTS
from toolkit.memory.architecture.model import Architecture
from toolkit.memory.architecture.siglip import SIGLIP_DEFAULTS, vision_tower
from toolkit.memory.architecture.vision_language import (
    Tower,
    Wrapped,
    merged_patches,
    no_projector,
    normed_pixels,
    one_linear,
    shuffled,
    two_linears,
    with_newline,
    wrapped,
)

_QWEN2_VL_TEXT = {
    **QWEN2_DEFAULTS,
    "vocab_size": 152064,
    "hidden_size": 8192,
    "intermediate_size": 29568,
    "num_hidden_layers": 80,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "max_window_layers": 80,
}
_QWEN3_VL_TEXT = {**QWEN3_DEFAULTS, "max_position_embeddings": 128000}
_QWEN3_VL_MOE_TEXT = {
    **QWEN3_MOE_DEFAULTS,
    "intermediate_size": 5632,
    "num_attention_heads": 16,
    "num_key_value_heads": 16,
    "max_position_embeddings": 128000,
    "moe_intermediate_size": 1408,
    "num_experts_per_tok": 4,
    "num_local_experts": 60,
}

_QWEN: dict[str, Any] = {
    "vision": "visual",
    "projector": no_projector,
    "own_text": True,
    "rows": True,
    "caches": True,
}
_QWEN2: dict[str, Any] = {**_QWEN, "text_defaults": _QWEN2_VL_TEXT, "flat": True, "ties_by_text": True}
TOWERS: Mapping[str, tuple[Tower, Mapping[str, Any]]] = {
    "clip_vision_model": (towers.clip, towers.CLIP_DEFAULTS),
    "pixtral": (towers.pixtral, towers.PIXTRAL_DEFAULTS),
    "siglip_vision_model": (vision_tower, SIGLIP_DEFAULTS),
}
"""The towers that LLaVA's configs name, by their types."""

_LLAVA: dict[str, Any] = {
    "text": "llama",
    "tower": towers.clip,
    "vision_defaults": towers.CLIP_DEFAULTS,
    "towers": TOWERS,
}
_IDEFICS: dict[str, Any] = {
    "text": "llama",
    "tower": towers.idefics3,
    "vision_defaults": towers.IDEFICS3_DEFAULTS,
    "projector": shuffled,
    "vision": "vision_model",
    "language": "text_model",
}

FORMS: Mapping[str, tuple[Wrapped, Mapping[str, Any], str]] = {
    "idefics3": (Wrapped(**_IDEFICS), {"scale_factor": 2}, "Idefics3"),
    "internvl": (
        Wrapped("qwen2", towers.internvit, towers.INTERNVIT_DEFAULTS, normed_pixels, caches=True),
        {"downsample_ratio": 0.5, "tie_word_embeddings": True},
        "InternVL",
    ),
    "llava": (
        Wrapped(**_LLAVA, projector=two_linears, ties_by_text=True, caches=True),
        {"multimodal_projector_bias": True},
        "Llava",
    ),
    "llava_next": (Wrapped(**_LLAVA, projector=with_newline), {"multimodal_projector_bias": True}, "LlavaNext"),
    "llava_onevision": (
        Wrapped("qwen2", vision_tower, SIGLIP_DEFAULTS, with_newline),
        {"multimodal_projector_bias": True},
        "LlavaOnevision",
    ),
    "mistral3": (
        Wrapped("mistral", towers.pixtral, towers.PIXTRAL_DEFAULTS, merged_patches),
        {"spatial_merge_size": 2, "tie_word_embeddings": True},
        "Mistral3",
    ),
    "paligemma": (
        Wrapped("gemma", vision_tower, SIGLIP_DEFAULTS, one_linear, as_family="paligemma"),
        {"projection_dim": 2048, "tie_word_embeddings": True},
        "PaliGemma",
    ),
    "qwen2_5_vl": (
        Wrapped("qwen2", towers.qwen2_5_vl, towers.QWEN2_5_VL_DEFAULTS, **_QWEN2),
        {},
        "Qwen2_5_VL",
    ),
    "qwen2_vl": (Wrapped("qwen2", towers.qwen2_vl, towers.QWEN2_VL_DEFAULTS, **_QWEN2), {}, "Qwen2VL"),
    "qwen3_vl": (
        Wrapped("qwen3", towers.qwen3_vl, towers.QWEN3_VL_DEFAULTS, text_defaults=_QWEN3_VL_TEXT, **_QWEN),
        {},
        "Qwen3VL",
    ),
    "qwen3_vl_moe": (
        Wrapped("qwen3_moe", towers.qwen3_vl, towers.QWEN3_VL_DEFAULTS, text_defaults=_QWEN3_VL_MOE_TEXT, **_QWEN),
        {},
        "Qwen3VLMoe",
    ),
    "smolvlm": (Wrapped(**_IDEFICS), {"scale_factor": 2}, "SmolVLM"),
}
"""By model type: how it is put together, the defaults of its config, the stem of its classes' names."""


def with_images(families: Mapping[str, Family]) -> Mapping[str, Family]:
    """The model types whose text models are those of `families`, each as in the registry of all."""

    def family(how: Wrapped, defaults: Mapping[str, Any], stem: str) -> Family:
        classes = {CAUSAL: f"{stem}ForConditionalGeneration", BASE: f"{stem}Model"}
        if how.projector is with_newline:  # whose base model has a parameter of its own, outside any module
            del classes[BASE]
        return Family(partial(_build, how, families), {"tie_word_embeddings": False, **defaults}, classes)

    return {name: family(*form) for name, form in FORMS.items()}


def _build(how: Wrapped, families: Mapping[str, Family], config: Config, head: Head) -> Architecture:
    return wrapped(config, head, how, families)
