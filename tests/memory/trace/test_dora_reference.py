"""DoRA's formulas against traces of peft's own code, where its matrices make the peak and where they do not."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")

from tests.memory.trace.agree import agree
from toolkit.spec.settings.setting import Lora, Setting, Stack

pytestmark = pytest.mark.reference

EXACT = 0.0002
LINEARS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
LLAMA = "meta-llama/Llama-2-7b-hf"
OTHER = {"openai-community/gpt2": ("c_attn", "c_proj", "c_fc"), "google-bert/bert-base-uncased": ("query", "value")}

TRL: dict[str, Any] = {
    "method": "qlora", "weights": "nf4", "gradients": "bf16", "optimizer_states": "bf16", "dtype": "bf16",
    "stack": Stack("trl", "chunked"),
}  # fmt: skip
"""Adapters that TRL makes bfloat16, whatever the dtype of products."""

CASES: dict[str, dict[str, Any]] = {
    "float32 adapters": {},
    "16-bit adapters and dropout": {"gradients": "bf16", "optimizer_states": "bf16", "dtype": "bf16", "dropout": 0.1},
    "autocast": {"amp": True},
    "autocast and dropout": {"amp": True, "dropout": 0.1},
    "checkpoints": {"amp": True, "gradient_checkpointing": "non-reentrant"},
    "reentrant checkpoints": {"amp": True, "gradient_checkpointing": "reentrant", "dropout": 0.1},
    "4 bits": {"method": "qlora", "weights": "nf4"},
    "4 bits under autocast": {"method": "qlora", "weights": "nf4", "amp": True, "dropout": 0.1},
    "norms that autocast widens without a copy": {**TRL, "amp": True, "gradient_checkpointing": "non-reentrant"},
    "a sum of two 16-bit dtypes": {**TRL, "compute": "fp16", "amp": True},
    "8 bits under autocast": {"weights": "int8", "amp": True},
}


def _setting(model: str, targets: tuple[str, ...], said: dict[str, Any]) -> Setting:
    adapters = {name: said[name] for name in ("dtype", "dropout") if name in said}
    common = {"method": "lora", "weights": "bf16", "gradients": "fp32", "optimizer_states": "fp32"}
    fields = {**common, **{name: value for name, value in said.items() if name not in adapters}}
    lora = Lora(8, 16, targets, dora=True, **adapters)
    return Setting(model=model, batch_size=2, sequence_length=512, lora=lora, **fields)


@pytest.mark.parametrize("said", CASES.values(), ids=CASES)
def test_dora_holds_what_the_trace_sees(said: dict[str, Any]) -> None:
    agree(_setting(LLAMA, LINEARS, said), 2, peak=EXACT, elsewhere=EXACT)


def test_checkpoints_of_a_sum_of_two_16_bit_dtypes_hold_as_much() -> None:
    """Of the forward pass, whose layers are there one by one, a part in seven hundred is told too many."""
    said = {**TRL, "compute": "fp16", "amp": True, "gradient_checkpointing": "non-reentrant"}
    agree(_setting(LLAMA, LINEARS, said), 2, peak=EXACT, elsewhere=0.002)


@pytest.mark.parametrize("model", OTHER)
def test_other_linears_hold_as_much(model: str) -> None:
    head = {"head": "sequence-classification", "labels": 2, "dropout": 0.1} if "bert" in model else {}
    agree(_setting(model, OTHER[model], head), 2, peak=EXACT, elsewhere=EXACT)


def test_biases_of_adapters_are_followed() -> None:
    lora = Lora(8, 16, LINEARS, bias=True)
    setting = Setting(
        model=LLAMA, method="lora", weights="bf16", gradients="fp32", optimizer_states="fp32",
        batch_size=2, sequence_length=64, lora=lora,
    )  # fmt: skip
    agree(setting, 2, peak=EXACT, elsewhere=EXACT)
