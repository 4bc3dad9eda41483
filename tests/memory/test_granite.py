"""Granite against readings of others, whose runs no rule here was made from, and what is refused of it."""

from __future__ import annotations

from typing import Any

import pytest

from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.estimate import estimate
from toolkit.spec.settings.setting import Lora, Setting, Stack

POWER = "ibm/PowerLM-3b"
GIB = 1 << 30
ADAPTED = {"gradients": "fp32", "optimizer_states": "fp32"}
ADAPTERS = Lora(16, 16, ("k_proj", "o_proj", "q_proj", "v_proj"), 0.1, "fp32")
RUN: dict[str, Any] = {
    "model": POWER,
    "weights": "bf16",
    "optimizer_implementation": "foreach",
    "sequence_length": 4096,
    "gradient_checkpointing": "reentrant",
    "attention": "flash",
    "gpu": "A100 80GB",
    "stack": Stack("trl", versions={"torch": "2.4.1", "transformers": "4.45.0", "flash-attn": "2.6.3"}),
}


@pytest.mark.parametrize(
    ("fields", "read"),
    [
        ({"method": "full", "batch_size": 8}, 43.827),
        ({"method": "lora", "batch_size": 4, "lora": ADAPTERS, **ADAPTED}, 18.807),
        ({"method": "lora", "batch_size": 8, "lora": ADAPTERS, **ADAPTED}, 30.898),
    ],
)
def test_peaks_are_those_that_were_read(fields: dict[str, Any], read: float) -> None:
    """foundation-model-stack/fms-acceleration, refs/a100_80gb_granite.csv: torch's peak of a training stage."""
    facts = load_model(POWER)
    assert isinstance(facts, ModelFacts)
    assert estimate(Setting(**{**RUN, **fields}), facts).allocated == pytest.approx(read * GIB, rel=0.002)


def test_qlora_is_what_was_read_with_the_trl_of_its_time() -> None:
    """The record names no TRL. With transformers 4.45 it was one before 0.23, which left adapters in float32."""
    facts = load_model(POWER)
    assert isinstance(facts, ModelFacts)
    versions = {"torch": "2.4.1", "transformers": "4.45.0", "peft": "0.12.0", "bitsandbytes": "0.43.3"}
    run = {**RUN, "weights": "nf4", "double_quant": True, "amp": True, "stack": Stack("trl", versions=versions)}
    setting = Setting(**{**run, "method": "qlora", "batch_size": 8, "lora": ADAPTERS, **ADAPTED})
    assert estimate(setting, facts).allocated == pytest.approx(31.83 * GIB, rel=0.002)
