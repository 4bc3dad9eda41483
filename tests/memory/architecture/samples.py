"""Small configs of every model type: published ones with few layers, and forms that none here has."""

from __future__ import annotations

from typing import Any

from tests.memory.architecture.dense_samples import DENSE
from tests.memory.architecture.encoder_samples import ENCODERS
from tests.memory.architecture.recurrent_samples import ALONE, RECURRENT
from tests.memory.architecture.routed_samples import ROUTED
from tests.memory.architecture.vision_samples import VISION
from toolkit.facts.models import MODEL_IDS, ModelFacts, load_model, model_from_config

LAYER_KEYS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers", "num_decoder_layers")

PUBLISHED = {
    "llama": "HuggingFaceTB/SmolLM2-135M",
    "mistral": "mistralai/Mistral-Nemo-Base-2407",
    "qwen2": "Qwen/Qwen2.5-0.5B",
    "qwen3": "Qwen/Qwen3-0.6B",
    "qwen2_moe": "Qwen/Qwen1.5-MoE-A2.7B",
    "qwen3_moe": "Qwen/Qwen3-30B-A3B",
    "qwen3_next": "Qwen/Qwen3-Next-80B-A3B-Instruct",
    "qwen3_5": "Qwen/Qwen3.5-4B",
    "qwen3_5_moe": "Qwen/Qwen3.5-35B-A3B",
    "mixtral": "mistralai/Mixtral-8x7B-v0.1",
    "glm4_moe": "zai-org/GLM-4.5-Air",
    "gpt_oss": "openai/gpt-oss-20b",
    "granite": "ibm-granite/granite-4.1-3b",
    "granitemoe": "ibm-granite/granite-3.0-1b-a400m-base",
    "deepseek_v2": "deepseek-ai/DeepSeek-V2-Lite",
    "deepseek_v3": "deepseek-ai/DeepSeek-V3",
    "gemma": "google/gemma-2b",
    "gemma2": "google/gemma-2-2b",
    "gemma3_text": "google/gemma-3-270m",
    "gemma3": "google/gemma-3-4b-pt",
    "phi": "microsoft/phi-2",
    "phi3": "microsoft/phi-4",
    "stablelm": "stabilityai/stablelm-2-12b",
    "gpt_neox": "EleutherAI/pythia-14m",
    "gpt2": "openai-community/gpt2",
    "gpt_bigcode": "bigcode/gpt_bigcode-santacoder",
    "minimax_m2": "MiniMaxAI/MiniMax-M2",
    "olmoe": "allenai/OLMoE-1B-7B-0924",
    "opt": "facebook/opt-350m",
    "bloom": "bigscience/bloom-560m",
    "falcon": "tiiuae/falcon-7b",
    "t5": "google/flan-t5-small",
    "bert": "google-bert/bert-base-uncased",
    "roberta": "FacebookAI/roberta-base",
    "xlm-roberta": "FacebookAI/xlm-roberta-base",
    "distilbert": "distilbert/distilbert-base-uncased",
    "deberta": "microsoft/deberta-base",
    "deberta-v2": "microsoft/deberta-v3-small",
}

WRITTEN = {**DENSE, **ALONE, **RECURRENT, **ROUTED, **VISION, **ENCODERS}

TYPES = (*PUBLISHED, *WRITTEN)
"""The model types of which there is a small config."""

# What a published config is changed to, so that every branch of a family is compared.
VARIANTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("llama", {"attention_bias": True, "mlp_bias": True, "tie_word_embeddings": False}),
    ("llama", {"head_dim": 128, "num_key_value_heads": None}),
    (
        "qwen2",
        {
            "use_sliding_window": True,
            "sliding_window": 64,
            "max_window_layers": 1,
            "tie_word_embeddings": False,
        },
    ),
    ("qwen2_moe", {"qkv_bias": False, "decoder_sparse_step": 2, "tie_word_embeddings": True}),
    ("qwen2_moe", {"mlp_only_layers": [0], "use_sliding_window": True, "sliding_window": 64}),
    ("qwen3", {"attention_bias": True}),
    ("qwen3_moe", {"decoder_sparse_step": 2}),
    ("qwen3_moe", {"mlp_only_layers": [0], "tie_word_embeddings": True}),
    ("qwen3_next", {"full_attention_interval": 2, "mlp_only_layers": [0], "tie_word_embeddings": True}),
    ("gpt_bigcode", {"multi_query": False}),
    ("glm4_moe", {"use_qk_norm": True, "attention_bias": False, "first_k_dense_replace": 3}),
    ("gpt_oss", {"attention_bias": False}),
    ("granite", {"attention_bias": True, "mlp_bias": True, "tie_word_embeddings": False}),
    ("granitemoe", {"attention_bias": True, "tie_word_embeddings": False}),
    ("deepseek_v2", {"q_lora_rank": 512, "attention_bias": True, "mlp_bias": True}),
    ("deepseek_v2", {"first_k_dense_replace": 3}),
    ("deepseek_v3", {"first_k_dense_replace": 0, "q_lora_rank": None}),
    ("gemma2", {"attention_bias": True}),
    ("phi", {"qk_layernorm": True, "num_key_value_heads": 8}),
    ("phi", {"tie_word_embeddings": True}),
    ("stablelm", {"use_parallel_residual": False, "qk_layernorm": False, "use_qkv_bias": True}),
    ("gpt_neox", {"attention_bias": False, "tie_word_embeddings": True}),
    ("gpt2", {"n_inner": 1000, "tie_word_embeddings": False}),
    ("minimax_m2", {"num_key_value_heads": 4, "tie_word_embeddings": True}),
    ("olmoe", {"attention_bias": True, "num_key_value_heads": 4, "tie_word_embeddings": True}),
    ("opt", {"word_embed_proj_dim": 1024, "do_layer_norm_before": True, "enable_bias": False}),
    ("bloom", {"tie_word_embeddings": False}),
    (
        "falcon",
        {"new_decoder_architecture": True, "num_attention_heads": 64, "num_kv_heads": 8, "hidden_size": 4096},
    ),
    ("falcon", {"parallel_attn": False, "multi_query": False, "bias": True}),
    ("falcon", {"new_decoder_architecture": True, "num_kv_heads": 1, "num_ln_in_parallel_attn": 1}),
    ("t5", {"feed_forward_proj": "relu", "num_decoder_layers": 1, "tie_word_embeddings": False}),
    ("t5", {"num_decoder_layers": None}),
    ("bert", {"tie_word_embeddings": False}),
    ("roberta", {"tie_word_embeddings": False}),
    ("distilbert", {"tie_word_embeddings": False}),
    ("deberta", {"relative_attention": False, "position_biased_input": True, "type_vocab_size": 2}),
    ("deberta", {"pos_att_type": "c2p", "max_relative_positions": 100, "tie_word_embeddings": False}),
    ("deberta-v2", {"relative_attention": False, "position_biased_input": True, "type_vocab_size": 2}),
    ("deberta-v2", {"share_att_key": False, "norm_rel_ebd": "none", "position_buckets": -1}),
    ("deberta-v2", {"share_att_key": False, "pos_att_type": "c2p", "tie_word_embeddings": False}),
)


def small_config(model_type: str, changes: dict[str, Any] | None = None, layers: int = 3) -> dict[str, Any]:
    """The published config of a type, with few layers, or the one that is written here."""
    if model_type in WRITTEN:
        return {**WRITTEN[model_type], **(changes or {})}
    facts = load_model(PUBLISHED[model_type])
    assert isinstance(facts, ModelFacts)
    config = _shallow(dict(facts.config), layers)
    if config.get("first_k_dense_replace", 0) > 1:
        config["first_k_dense_replace"] = 1
    config.pop("quantization_config", None)
    config.update(changes or {})
    return config


def _shallow(config: dict[str, Any], layers: int) -> dict[str, Any]:
    for key in LAYER_KEYS:
        if key in config:
            config[key] = layers
    if "layer_types" in config:
        config["layer_types"] = config["layer_types"][:layers]
    for part in ("text_config", "vision_config"):
        if part in config:
            config[part] = _shallow(dict(config[part]), layers)
    return config


def small_facts(model_type: str, changes: dict[str, Any] | None = None) -> ModelFacts:
    """The facts of a small config."""
    return model_from_config(small_config(model_type, changes), model_type)


def facts_of(model_id: str) -> ModelFacts:
    """The facts of a verified model."""
    facts = load_model(model_id)
    assert isinstance(facts, ModelFacts)
    return facts


def all_facts() -> list[ModelFacts]:
    """The facts of every verified model."""
    return [facts_of(model_id) for model_id in MODEL_IDS]
