"""Which modules a reader would adapt: peft's default, all of attention, or every linear layer.

The first list of a type is that of peft 0.21 (utils/constants.py) where peft has one. A type that is not here
has no names that every reader would take, so that its targets are every linear layer.
"""

from __future__ import annotations

Targets = str | tuple[str, ...]

_QV = ("q_proj", "v_proj")
_QKVO = ("q_proj", "k_proj", "v_proj", "o_proj")
_ROBERTA = (("query", "value"), ("query", "key", "value"))
_FUSED = (("query_key_value",), ("query_key_value", "dense"))

_BY_TYPE: dict[str, tuple[tuple[str, ...], ...]] = {
    **dict.fromkeys(
        (
            "llama", "mistral", "mixtral", "gemma", "gemma2", "gemma3", "gemma3_text", "qwen2", "qwen3",
            "qwen2_moe", "qwen3_moe", "stablelm", "glm4_moe", "gpt_oss", "granite", "granitemoe", "olmoe",
        ),
        (_QV, _QKVO),
    ),
    **dict.fromkeys(("bert", "roberta", "xlm-roberta"), _ROBERTA),
    **dict.fromkeys(("bloom", "falcon", "gpt_neox"), _FUSED),
    "deberta": (("in_proj",),),
    "deberta-v2": (("query_proj", "value_proj"), ("query_proj", "key_proj", "value_proj")),
    "distilbert": (("q_lin", "v_lin"), ("q_lin", "k_lin", "v_lin", "out_lin")),
    "gpt2": (("c_attn",),),
    "opt": (_QV, ("q_proj", "k_proj", "v_proj", "out_proj")),
    "phi": (_QV, ("q_proj", "k_proj", "v_proj", "dense")),
    "phi3": (("qkv_proj",), ("qkv_proj", "o_proj")),
    "qwen": (("c_attn",),),
    "bart": (_QV, ("q_proj", "k_proj", "v_proj", "out_proj")),
    **dict.fromkeys(("mt5", "t5"), (("q", "v"), ("q", "k", "v", "o"))),
}  # fmt: skip


def usual_targets(model_type: str | None) -> tuple[Targets, ...]:
    """The targets that a reader would assume for a model of a type."""
    return (*_BY_TYPE.get(model_type or "", ()), "all-linear")
