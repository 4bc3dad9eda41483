"""Small configs of models with short convolutions or state spaces, and their forms."""

from __future__ import annotations

from typing import Any

_COMMON: dict[str, Any] = {
    "vocab_size": 2000,
    "hidden_size": 512,
    "intermediate_size": 1024,
    "num_hidden_layers": 4,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "tie_word_embeddings": False,
}
_MAMBA: dict[str, Any] = {**_COMMON, "mamba_n_heads": 16, "mamba_d_state": 64, "mamba_chunk_size": 128}
_CONVOLUTIONS = ["conv", "conv", "full_attention", "conv"]

RECURRENT: dict[str, dict[str, Any]] = {
    "bamba": {"model_type": "bamba", **_MAMBA, "attn_layer_indices": [2]},
    "falcon_h1": {"model_type": "falcon_h1", **_MAMBA, "mamba_d_ssm": 768},
    "granitemoehybrid": {
        "model_type": "granitemoehybrid", **_MAMBA, "intermediate_size": 256, "num_local_experts": 8,
        "num_experts_per_tok": 2, "shared_intermediate_size": 512,
        "layer_types": ["mamba", "mamba", "attention", "mamba"],
    },
    "lfm2": {"model_type": "lfm2", **_COMMON, "layer_types": _CONVOLUTIONS},
    "lfm2_moe": {
        "model_type": "lfm2_moe", **_COMMON, "layer_types": _CONVOLUTIONS, "num_experts": 8,
        "num_experts_per_tok": 2, "num_dense_layers": 1, "moe_intermediate_size": 256,
    },
    "nemotron_h": {
        "model_type": "nemotron_h", **_COMMON, "head_dim": 64,
        "layers_block_type": ["mamba", "moe", "attention", "mlp", "mamba", "moe"],
        "mamba_num_heads": 16, "mamba_head_dim": 64, "ssm_state_size": 64, "n_groups": 2,
        "n_routed_experts": 8, "moe_intermediate_size": 256, "moe_shared_expert_intermediate_size": 512,
    },
}  # fmt: skip

_ALONE: dict[str, Any] = {"vocab_size": 2000, "hidden_size": 512, "num_hidden_layers": 4}

ALONE: dict[str, dict[str, Any]] = {
    "falcon_mamba": {"model_type": "falcon_mamba", **_ALONE},
    "mamba": {"model_type": "mamba", **_ALONE},
    "mamba2": {
        "model_type": "mamba2", **_ALONE, "state_size": 64, "num_heads": 16, "head_dim": 64, "n_groups": 2,
        "chunk_size": 128,
    },
}  # fmt: skip
"""Models all of whose layers are Mamba, and nothing else."""

RECURRENT_VARIANTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("bamba", {"mamba_proj_bias": True, "mlp_bias": True, "attention_bias": True, "mamba_conv_bias": False}),
    ("bamba", {"mamba_n_groups": 4, "mamba_d_head": 64, "attn_layer_indices": None}),
    ("falcon_h1", {"mamba_rms_norm": True, "mamba_proj_bias": True, "projectors_bias": True, "mamba_conv_bias": False}),
    ("falcon_h1", {"mamba_d_ssm": None, "attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True}),
    ("granitemoehybrid", {"num_local_experts": 0, "tie_word_embeddings": True, "attention_bias": True}),
    ("granitemoehybrid", {"layer_types": None, "mamba_expand": 4, "mamba_n_heads": 32}),
    ("lfm2", {"layer_types": None, "full_attn_idxs": [1], "conv_bias": True, "conv_L_cache": 4}),
    ("lfm2", {"layer_types": None, "block_auto_adjust_ff_dim": False, "tie_word_embeddings": True}),
    ("lfm2", {"block_ffn_dim_multiplier": 1.3, "block_multiple_of": 64}),
    ("lfm2_moe", {"num_dense_layers": 0, "use_expert_bias": False}),
    ("lfm2_moe", {"num_dense_layers": 4, "conv_bias": True}),
    ("falcon_mamba", {"expand": 16, "intermediate_size": 768, "time_step_rank": 64, "tie_word_embeddings": False}),
    ("mamba", {"use_bias": True, "use_conv_bias": False, "time_step_rank": 20, "tie_word_embeddings": False}),
    ("mamba2", {"n_groups": 1, "use_bias": True, "use_conv_bias": False, "tie_word_embeddings": True}),
    ("nemotron_h", {"layers_block_type": None, "hybrid_override_pattern": "M-M*E", "use_bias": True, "mlp_bias": True}),
    ("nemotron_h", {"use_conv_bias": False, "n_groups": 1, "conv_kernel": 3, "tie_word_embeddings": True}),
)
