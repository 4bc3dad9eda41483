"""Small configs of encoders that none here is published of, and of decoders that are built as they are."""

from __future__ import annotations

from typing import Any

PAIRS: dict[str, Any] = {
    "vocab_size": 1000,
    "d_model": 64,
    "encoder_layers": 3,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 128,
    "decoder_ffn_dim": 96,
    "max_position_embeddings": 128,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
    "decoder_start_token_id": 2,
}
"""What the configs of encoder-decoders since BART share."""

ENCODERS: dict[str, dict[str, Any]] = {
    **{kind: {"model_type": kind, **PAIRS} for kind in ("bart", "m2m_100", "mbart", "pegasus")},
    "eurobert": {
        "model_type": "eurobert",
        "vocab_size": 1000,
        "hidden_size": 64,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "intermediate_size": 128,
        "pad_token_id": 1,
    },
    "marian": {"model_type": "marian", **PAIRS, "decoder_vocab_size": 1000},
    "modernbert": {
        "model_type": "modernbert",
        "vocab_size": 1000,
        "hidden_size": 64,
        "num_hidden_layers": 5,
        "num_attention_heads": 4,
        "intermediate_size": 96,
        "pad_token_id": 1,
        "cls_token_id": 2,
    },
    "mpnet": {
        "model_type": "mpnet",
        "vocab_size": 1000,
        "hidden_size": 64,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "intermediate_size": 128,
        "max_position_embeddings": 128,
    },
    "umt5": {
        "model_type": "umt5",
        "vocab_size": 1000,
        "d_model": 64,
        "d_kv": 16,
        "d_ff": 128,
        "num_layers": 3,
        "num_decoder_layers": 2,
        "num_heads": 4,
    },
    "mt5": {
        "model_type": "mt5",
        "vocab_size": 1000,
        "d_model": 64,
        "d_kv": 16,
        "d_ff": 128,
        "num_layers": 3,
        "num_decoder_layers": 2,
        "num_heads": 4,
    },
    "whisper": {
        "model_type": "whisper",
        **PAIRS,
        "num_mel_bins": 80,
        "max_source_positions": 96,
        "max_target_positions": 64,
    },
    "albert": {
        "model_type": "albert",
        "vocab_size": 1000,
        "embedding_size": 32,
        "hidden_size": 64,
        "num_hidden_layers": 4,
        "num_hidden_groups": 2,
        "num_attention_heads": 4,
        "intermediate_size": 128,
        "max_position_embeddings": 128,
    },
    "biogpt": {
        "model_type": "biogpt",
        "vocab_size": 1000,
        "hidden_size": 64,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "intermediate_size": 128,
        "max_position_embeddings": 128,
    },
    "camembert": {
        "model_type": "camembert",
        "vocab_size": 1000,
        "hidden_size": 64,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "intermediate_size": 128,
        "max_position_embeddings": 130,
        "type_vocab_size": 1,
    },
    "electra": {
        "model_type": "electra",
        "vocab_size": 1000,
        "embedding_size": 32,
        "hidden_size": 64,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "intermediate_size": 128,
        "max_position_embeddings": 128,
    },
}

ENCODER_VARIANTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("eurobert", {"attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True}),
    ("modernbert", {"norm_bias": True, "attention_bias": True, "mlp_bias": True, "decoder_bias": False}),
    ("modernbert", {"global_attn_every_n_layers": 2, "classifier_bias": True, "tie_word_embeddings": False}),
    ("modernbert", {"num_hidden_layers": 1}),
    ("mt5", {"feed_forward_proj": "relu", "num_decoder_layers": None}),
    ("umt5", {"feed_forward_proj": "relu", "num_decoder_layers": None}),
)
"""Forms of them that the samples have not."""
