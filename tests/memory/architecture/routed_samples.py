"""Small configs of mixtures of which no published config is kept here, and their forms."""

from __future__ import annotations

from typing import Any

_COMMON = {
    "vocab_size": 32000,
    "hidden_size": 1024,
    "intermediate_size": 2816,
    "num_hidden_layers": 3,
    "num_attention_heads": 16,
    "num_key_value_heads": 4,
    "max_position_embeddings": 4096,
}
_EXPERTS = {"moe_intermediate_size": 512, "num_experts": 16, "num_experts_per_tok": 4}
_LATENT = {
    **_COMMON,
    "moe_intermediate_size": 512,
    "num_key_value_heads": 16,
    "n_routed_experts": 16,
    "num_experts_per_tok": 4,
    "q_lora_rank": 256,
    "kv_lora_rank": 128,
    "qk_nope_head_dim": 48,
    "qk_rope_head_dim": 16,
    "v_head_dim": 64,
}

ROUTED: dict[str, dict[str, Any]] = {
    "dots1": {
        "model_type": "dots1", **_COMMON, "moe_intermediate_size": 512, "n_routed_experts": 16, "n_shared_experts": 2,
        "num_experts_per_tok": 4, "first_k_dense_replace": 1,
    },
    "solar_open": {
        "model_type": "solar_open", **_COMMON, "head_dim": 64, "moe_intermediate_size": 512, "n_routed_experts": 16,
        "num_experts_per_tok": 4,
    },
    "ernie4_5_moe": {
        "model_type": "ernie4_5_moe", **_COMMON, "moe_intermediate_size": 512, "moe_num_experts": 16, "moe_k": 4,
    },
    "exaone_moe": {
        "model_type": "exaone_moe", **_COMMON, **_EXPERTS, "num_hidden_layers": 4, "sliding_window": 128,
    },
    "glm4_moe_lite": {"model_type": "glm4_moe_lite", **_LATENT},
    "hunyuan_v1_moe": {
        "model_type": "hunyuan_v1_moe", **_COMMON, "intermediate_size": 512, "num_experts": 16, "moe_topk": 4,
        "head_dim": 64,
    },
    "mistral4": {"model_type": "mistral4", **_LATENT},
}  # fmt: skip

ROUTED_VARIANTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("dots1", {"attention_bias": True, "sliding_window": 64, "max_window_layers": 1, "tie_word_embeddings": True}),
    ("solar_open", {"attention_bias": True, "n_shared_experts": 2, "tie_word_embeddings": True}),
    ("ernie4_5_moe", {"use_bias": True, "moe_num_shared_experts": 0, "tie_word_embeddings": False}),
    ("ernie4_5_moe", {"moe_layer_interval": 2, "moe_layer_start_index": 0, "moe_layer_end_index": 1}),
    (
        "exaone_moe",
        {"layer_types": ["full_attention"] * 4, "mlp_layer_types": ["dense", "sparse", "dense", "sparse"]},
    ),
    ("glm4_moe_lite", {"attention_bias": True, "mlp_layer_types": ["dense", "dense", "sparse"]}),
    ("hunyuan_v1_moe", {"attention_bias": True, "moe_topk": [2, 2, 2], "tie_word_embeddings": True}),
    ("mistral4", {"q_lora_rank": None, "first_k_dense_replace": 2}),
)
