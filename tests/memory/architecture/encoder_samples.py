"""Small configs of encoders that none here is published of, and of decoders that are built as they are."""

from __future__ import annotations

from typing import Any

ENCODERS: dict[str, dict[str, Any]] = {
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
