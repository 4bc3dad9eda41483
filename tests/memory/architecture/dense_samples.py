"""Small configs of dense decoders of which no published config is kept here, and their forms."""

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
_EXPERTS = {
    "intermediate_size_mlp": 4096, "head_dim": 64, "num_local_experts": 4, "interleave_moe_layer_step": 2,
}  # fmt: skip
_GPT = {"vocab_size": 32000, "n_embd": 1024, "n_layer": 3, "n_head": 16, "n_positions": 2048, "rotary_dim": 32}

_SPARSE = {
    "moe_intermediate_size": 256, "n_routed_experts": 8, "num_experts_per_tok": 2, "first_k_dense_replace": 1,
    "n_group": 1, "topk_group": 1, "q_lora_rank": 256, "kv_lora_rank": 128, "qk_nope_head_dim": 48,
    "qk_rope_head_dim": 16, "v_head_dim": 64, "index_topk": 64, "index_head_dim": 32, "index_n_heads": 4,
}  # fmt: skip

DENSE: dict[str, dict[str, Any]] = {
    **{
        name: {"model_type": name, **_COMMON}
        for name in (
            "apertus", "arcee", "cohere", "ernie4_5", "hyperclovax", "internlm3", "iquestcoder", "jais2", "ministral3",
            "olmo", "olmo2", "seed_oss", "starcoder2",
        )
    },
    **{
        name: {"model_type": name, **_COMMON, "num_hidden_layers": 4}
        for name in ("cohere2", "cwm", "exaone4", "olmo3")
    },
    "codegen": {"model_type": "codegen", **_GPT},
    "gemma3n": {
        "model_type": "gemma3n",
        "text_config": {
            "model_type": "gemma3n_text", **_COMMON, "head_dim": 64, "num_kv_shared_layers": 0,
            "vocab_size_per_layer_input": 2000, "activation_sparsity_pattern": [0.95, 0.0, 0.0],
        },
    },
    "gemma3n_text": {
        "model_type": "gemma3n_text", **_COMMON, "head_dim": 64, "num_hidden_layers": 5, "num_kv_shared_layers": 2,
        "vocab_size_per_layer_input": 2000, "hidden_size_per_layer_input": 64, "laurel_rank": 32,
        "layer_types": ["sliding_attention", "full_attention", "sliding_attention"] + ["full_attention"] * 2,
        "activation_sparsity_pattern": [0.95, 0.95, 0.0, 0.0, 0.0],
    },
    "gemma4_text": {
        "model_type": "gemma4_text", **_COMMON, "head_dim": 64, "global_head_dim": 128,
        "hidden_size_per_layer_input": 0, "attention_k_eq_v": True, "num_global_key_value_heads": 2,
        "layer_types": ["sliding_attention", "full_attention", "full_attention"], "final_logit_softcapping": 30.0,
    },
    "gemma4_unified_text": {
        "model_type": "gemma4_unified_text", **_COMMON, "head_dim": 64, "global_head_dim": 512,
        "layer_types": ["sliding_attention", "full_attention", "full_attention"],
    },
    "glm": {"model_type": "glm", **_COMMON, "head_dim": 64, "pad_token_id": 0},
    "glm4": {"model_type": "glm4", **_COMMON, "head_dim": 64, "pad_token_id": 0},
    "gpt_neo": {
        "model_type": "gpt_neo", "vocab_size": 32000, "hidden_size": 1024, "num_layers": 3, "num_heads": 16,
        "attention_types": [[["global", "local"], 1], [["global"], 1]],
    },
    "gptj": {"model_type": "gptj", **_GPT},
    "helium": {"model_type": "helium", **_COMMON, "head_dim": 64},
    "hunyuan_v1_dense": {"model_type": "hunyuan_v1_dense", **_COMMON, "head_dim": 64},
    "llama4": {
        "model_type": "llama4",
        "text_config": {"model_type": "llama4_text", **_COMMON, **_EXPERTS},
        "vision_config": {
            "model_type": "llama4_vision_model", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
            "intermediate_size": 128, "vision_output_dim": 96, "image_size": 56, "projector_input_dim": 96,
            "projector_output_dim": 96,
        },
    },
    "llama4_text": {"model_type": "llama4_text", **_COMMON, **_EXPERTS},
    "deepseek_v32": {"model_type": "deepseek_v32", **_COMMON, **_SPARSE},
    "glm_moe_dsa": {"model_type": "glm_moe_dsa", **_COMMON, **_SPARSE},
    "phimoe": {
        "model_type": "phimoe", **_COMMON, "num_local_experts": 8, "attention_bias": True, "lm_head_bias": True,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
    },
    "ministral": {
        "model_type": "ministral", **_COMMON, "head_dim": 64,
        "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
    },
    "mllama": {
        "model_type": "mllama",
        "text_config": {
            "model_type": "mllama_text_model", **_COMMON, "num_hidden_layers": 5, "cross_attention_layers": [1, 3],
            "pad_token_id": 0, "bos_token_id": 0, "eos_token_id": 1,
        },
        "vision_config": {
            "model_type": "mllama_vision_model", "hidden_size": 128, "num_hidden_layers": 2, "num_global_layers": 1,
            "attention_heads": 4, "intermediate_size": 256, "vision_output_dim": 256, "image_size": 56,
            "intermediate_layers_indices": [0],
        },
    },
    "mpt": {"model_type": "mpt", "d_model": 1024, "n_heads": 16, "n_layers": 3, "vocab_size": 32000},
    "nemotron": {"model_type": "nemotron", **_COMMON},
    "qwen3_5_moe_text": {
        "model_type": "qwen3_5_moe_text", **_COMMON, "full_attention_interval": 2, "num_experts": 8,
        "num_experts_per_tok": 2,
    },
    "qwen3_5_text": {"model_type": "qwen3_5_text", **_COMMON, "full_attention_interval": 2},
    "persimmon": {"model_type": "persimmon", **_COMMON},
    "smollm3": {"model_type": "smollm3", **_COMMON, "pad_token_id": 0, "no_rope_layers": [1, 1, 0]},
    "vaultgemma": {"model_type": "vaultgemma", **_COMMON, "head_dim": 64},
}  # fmt: skip

DENSE_VARIANTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("apertus", {"attention_bias": True, "hidden_act": "relu2", "tie_word_embeddings": True}),
    ("arcee", {"attention_bias": True, "mlp_bias": True, "head_dim": 32}),
    ("cohere", {"attention_bias": True, "use_qk_norm": True}),
    ("cohere2", {"attention_bias": True, "layer_types": ["full_attention"] * 4}),
    ("codegen", {"n_inner": 1000, "tie_word_embeddings": True}),
    ("cwm", {"mlp_bias": True, "layer_types": ["full_attention"] * 4, "tie_word_embeddings": True}),
    ("hyperclovax", {"use_post_norm": False, "attention_bias": True, "mlp_bias": True}),
    ("internlm3", {"qkv_bias": True, "bias": True}),
    ("iquestcoder", {"attention_bias": True, "mlp_bias": True, "head_dim": 64}),
    ("jais2", {"attention_bias": False, "mlp_bias": False, "tie_word_embeddings": True}),
    ("ernie4_5", {"use_bias": True, "head_dim": None, "tie_word_embeddings": False}),
    ("exaone4", {"sliding_window": None, "layer_types": ["full_attention"] * 4, "head_dim": 32}),
    ("gemma3n_text", {"num_kv_shared_layers": 0, "altup_num_inputs": 2, "tie_word_embeddings": False}),
    ("gemma3n_text", {"intermediate_size": [512, 512, 512, 256, 256], "attention_bias": True}),
    (
        "gemma4_text",
        {
            "hidden_size_per_layer_input": 32,
            "num_kv_shared_layers": 1,
            "use_double_wide_mlp": True,
            "num_hidden_layers": 3,
        },
    ),
    (
        "gemma4_text",
        {"enable_moe_block": True, "num_experts": 8, "top_k_experts": 2, "moe_intermediate_size": 64},
    ),
    ("gemma4_text", {"attention_k_eq_v": False, "attention_bias": True, "tie_word_embeddings": False}),
    ("glm", {"attention_bias": False, "tie_word_embeddings": True}),
    ("glm4", {"attention_bias": False, "rope_parameters": {"rope_theta": 10000.0, "partial_rotary_factor": 0.25}}),
    ("gpt_neo", {"intermediate_size": 1000, "tie_word_embeddings": False}),
    ("gptj", {"n_inner": 1000, "rotary_dim": 64}),
    ("helium", {"attention_bias": True, "mlp_bias": True}),
    ("hunyuan_v1_dense", {"attention_bias": True, "head_dim": 128}),
    ("llama4_text", {"attention_bias": True, "interleave_moe_layer_step": 1, "tie_word_embeddings": True}),
    ("llama4_text", {"moe_layers": [0, 2], "no_rope_layers": [1, 0, 1]}),
    ("ministral", {"layer_types": ["full_attention", "sliding_attention", "full_attention"], "head_dim": 96}),
    ("mpt", {"tie_word_embeddings": False}),
    ("nemotron", {"attention_bias": True, "mlp_bias": True, "head_dim": 96}),
    ("olmo", {"attention_bias": True, "clip_qkv": 8.0, "num_key_value_heads": None}),
    ("olmo2", {"attention_bias": True, "tie_word_embeddings": True}),
    ("olmo3", {"sliding_window": 64}),
    ("persimmon", {"qk_layernorm": False}),
    ("seed_oss", {"attention_out_bias": True, "mlp_bias": True, "tie_word_embeddings": True}),
    ("smollm3", {"attention_bias": True, "mlp_bias": True, "no_rope_layers": [0, 1, 1]}),
    ("starcoder2", {"use_bias": False, "sliding_window": 64, "tie_word_embeddings": False}),
    ("vaultgemma", {"attention_bias": True}),
)
