"""Estimates against published readings of torch.cuda.max_memory_allocated on an A100.

Source: foundation-model-stack/fms-acceleration, scripts/benchmarks/refs; each record names commit and file. Stock
transformers ("none") and bitsandbytes under TRL ("baseline-peft-bnb"), packed rows, so the lengths are exact.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.memory.settings import facts_of, name_of, records, setting_of
from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.estimate import estimate
from toolkit.spec.settings.setting import Setting, Stack

CLOSE = 0.0005
UNEVEN_ROUTING = 0.005
"""A mixture's experts get unequal shares of the tokens; the estimate spreads them evenly."""


def tolerance(record: dict[str, Any]) -> float:
    return UNEVEN_ROUTING if "Mixtral" in record["model"] else CLOSE


@pytest.mark.parametrize("record", records("published"), ids=name_of)
def test_the_peak_is_the_one_that_was_read(record: dict[str, Any]) -> None:
    found = estimate(setting_of(record), facts_of(record)).allocated
    assert found == pytest.approx(record["allocated"], rel=tolerance(record)), (
        f"{found - record['allocated']:+,} bytes to {record['source']}"
    )


# QwenLM/Qwen2.5 docs, speed benchmark page: transformers 4.46.0, torch 2.3.1, flash attention, A100 80 GB, batch 1,
# 2,048 tokens generated; torch.cuda.max_memory_allocated / 1024**3, printed with two decimals.
GENERATED = (
    ("Qwen/Qwen2.5-1.5B-Instruct", 14_336, 4.16),
    ("Qwen/Qwen2.5-1.5B-Instruct", 30_720, 5.62),
    ("Qwen/Qwen2.5-7B-Instruct", 6_144, 15.38),
    ("Qwen/Qwen2.5-7B-Instruct", 30_720, 19.97),
    ("Qwen/Qwen2.5-14B-Instruct", 30_720, 36.85),
    ("Qwen/Qwen2.5-32B-Instruct", 6_144, 63.72),
    ("Qwen/Qwen2.5-32B-Instruct", 30_720, 74.47),
)


@pytest.mark.parametrize(("model", "prompt", "read"), GENERATED)
def test_generation_needs_what_was_read(model: str, prompt: int, read: float) -> None:
    facts = load_model(model)
    assert isinstance(facts, ModelFacts)
    setting = Setting(
        model,
        "inference",
        "bf16",
        batch_size=1,
        sequence_length=prompt,
        generated_length=2048,
        attention="flash",
        stack=Stack(versions={"transformers": "4.46.0"}),
    )
    assert estimate(setting, facts).allocated / (1 << 30) == pytest.approx(read, rel=0.006)
