"""What is done with a model: the fields of a setting that a family's formulas are held to, method by method."""

from __future__ import annotations

from typing import Any

from toolkit.spec.settings.setting import Lora

MIXED: dict[str, Any] = {"amp": True, "gradients": "fp32", "optimizer_states": "fp32"}
METHODS: dict[str, dict[str, Any]] = {
    "inference": {"method": "inference", "weights": "bf16", "generated_length": 3},
    "full": {"method": "full", "weights": "bf16"},
    "full under autocast": {"method": "full", "weights": "fp32", **MIXED},
    "full, eagerly": {"method": "full", "weights": "bf16", "attention": "eager"},
    "full, checkpoints": {"method": "full", "weights": "bf16", "gradient_checkpointing": "non-reentrant"},
    "lora": {"method": "lora", "weights": "bf16", "lora": Lora(8, 16, ("q_proj", "v_proj")), **MIXED},
    "qlora": {
        "method": "qlora",
        "weights": "nf4",
        "lora": Lora(8, 16, "all-linear"),
        "gradient_checkpointing": "reentrant",
        **MIXED,
    },
}
