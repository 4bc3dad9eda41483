"""Small configs of models that read images, of which no published config is kept here, and their forms."""

from __future__ import annotations

from typing import Any

_TEXT = {
    "vocab_size": 2000,
    "hidden_size": 1024,
    "intermediate_size": 2816,
    "num_hidden_layers": 3,
    "num_attention_heads": 16,
    "num_key_value_heads": 4,
    "max_position_embeddings": 4096,
}
_TOWER = {
    "hidden_size": 96,
    "intermediate_size": 200,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "image_size": 56,
    "patch_size": 14,
}
_SIGLIP = {"model_type": "siglip_vision_model", **_TOWER, "vision_use_head": False}
_CLIP = {"model_type": "clip_vision_model", **_TOWER}
_QWEN_TOWER = {
    "depth": 2, "hidden_size": 96, "intermediate_size": 200, "num_heads": 4, "out_hidden_size": 1024,
}  # fmt: skip
_MROPE = {"rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [8, 12, 12]}}
_EXPERTS = {"num_experts": 16, "num_experts_per_tok": 4, "moe_intermediate_size": 512, "head_dim": 64}

_GEMMA4 = {**_TEXT, "head_dim": 64, "global_head_dim": 128, "hidden_size_per_layer_input": 0}
_ALTERNATING = {"layer_types": ["sliding_attention", "full_attention", "full_attention"]}

VISION: dict[str, dict[str, Any]] = {
    "gemma4": {
        "text_config": {**_GEMMA4, **_ALTERNATING, "final_logit_softcapping": 30.0},
        "vision_config": {
            "hidden_size": 96, "intermediate_size": 200, "num_hidden_layers": 2, "num_attention_heads": 4,
            "num_key_value_heads": 2, "head_dim": 24, "position_embedding_size": 100,
        },
    },
    "gemma4_unified": {
        "text_config": {**_TEXT, **_ALTERNATING, "head_dim": 64, "global_head_dim": 128},
        "vision_config": {"mm_embed_dim": 96, "output_proj_dims": 96}, "audio_config": {"output_proj_dims": 64},
    },
    "idefics3": {"text_config": {"model_type": "llama", **_TEXT}, "vision_config": _TOWER},
    "internvl": {"text_config": {"model_type": "qwen2", **_TEXT}, "vision_config": {**_TOWER, "image_size": [56, 56]}},
    "llava": {"text_config": {"model_type": "llama", **_TEXT}, "vision_config": _CLIP},
    "llava_next": {"text_config": {"model_type": "mistral", **_TEXT}, "vision_config": _CLIP},
    "llava_onevision": {"text_config": {"model_type": "qwen2", **_TEXT}, "vision_config": _SIGLIP},
    "mistral3": {
        "text_config": {"model_type": "ministral3", **_TEXT, "head_dim": 64},
        "vision_config": {"model_type": "pixtral", **_TOWER},
        "tie_word_embeddings": False,
    },
    "paligemma": {
        "text_config": {"model_type": "gemma", **_TEXT, "head_dim": 64}, "vision_config": _SIGLIP,
        "projection_dim": 1024,
    },
    "qwen2_5_vl": {"text_config": {**_TEXT, **_MROPE}, "vision_config": _QWEN_TOWER},
    "qwen2_vl": {
        **_TEXT, **_MROPE, "tie_word_embeddings": True,
        "vision_config": {"depth": 2, "embed_dim": 96, "num_heads": 4, "hidden_size": 1024},
    },
    "qwen3_vl": {
        "text_config": {**_TEXT, **_MROPE, "head_dim": 64},
        "vision_config": {**_QWEN_TOWER, "deepstack_visual_indexes": [0, 1]},
        "tie_word_embeddings": True,
    },
    "qwen3_vl_moe": {
        "text_config": {**_TEXT, **_MROPE, **_EXPERTS},
        "vision_config": {**_QWEN_TOWER, "deepstack_visual_indexes": [1]},
    },
    "smolvlm": {"text_config": {"model_type": "llama", **_TEXT}, "vision_config": _TOWER, "scale_factor": 4},
}  # fmt: skip
VISION = {name: {"model_type": name, **config} for name, config in VISION.items()}

VISION_VARIANTS: tuple[tuple[str, dict[str, Any]], ...] = (
    (
        "gemma4",
        {
            "audio_config": {
                "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "output_proj_dims": 80,
                "subsampling_conv_channels": [16, 8],
            },
        },
    ),
    ("gemma4", {"vision_config": None, "tie_word_embeddings": False}),
    ("gemma4_unified", {"vision_config": None, "audio_config": None}),
    ("internvl", {"vision_config": {**_TOWER, "image_size": 56, "use_qk_norm": True, "norm_type": "rms_norm"}}),
    ("llava", {"vision_config": _SIGLIP, "text_config": {"model_type": "qwen2", **_TEXT, "tie_word_embeddings": True}}),
    ("llava", {"multimodal_projector_bias": False, "vision_feature_layer": [-2, -1]}),
    ("llava", {"vision_config": {"model_type": "pixtral", **_TOWER}}),
    ("mistral3", {"tie_word_embeddings": True, "multimodal_projector_bias": True}),
    ("paligemma", {"text_config": {"model_type": "gemma2", **_TEXT, "head_dim": 64}}),
    ("qwen2_5_vl", {"tie_word_embeddings": True}),
)  # fmt: skip
