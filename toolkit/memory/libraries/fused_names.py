"""The fused parameters that peft adapts for names that the experts of mixtures had before transformers 5.

Source: peft 0.21 utils/transformers_weight_conversion.py, over the patterns of transformers' conversion_mapping.py.
These names then stand for no linear of that name. Types without a pattern, such as qwen2_moe, keep the names they have.
"""

from __future__ import annotations

from collections.abc import Mapping

_QWEN_MOE = {
    "gate": "gate.weight",
    "gate_proj": "gate_up_proj",
    "up_proj": "gate_up_proj",
    "down_proj": "down_proj",
}
_MIXTRAL = {"gate": "gate.weight", "w1": "gate_up_proj", "w3": "gate_up_proj", "w2": "down_proj"}

FUSED_NAMES: Mapping[str, Mapping[str, str]] = {
    **dict.fromkeys(("mixtral", "minimax_m2"), _MIXTRAL),
    **dict.fromkeys(
        (
            "qwen3_moe",
            "qwen3_next",
            "deepseek_v2",
            "deepseek_v3",
            "dots1",
            "ernie4_5_moe",
            "exaone_moe",
            "glm4_moe",
            "glm4_moe_lite",
            "hunyuan_v1_moe",
            "olmoe",
            "solar_open",
        ),
        _QWEN_MOE,
    ),
}
"""By model type: the older name, and the parameter that it stands for."""
