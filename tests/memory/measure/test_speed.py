"""Speeds from records, by hand."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from tests.memory.measure.jobs import job, outcome
from toolkit.evidence.record import Record
from toolkit.memory.measure.records import merged, record_of
from toolkit.memory.measure.speed import ratio, speed

STEP = {"pass": [0.3, 0.2, 0.9], "step": [0.4]}


def record(laps: dict[str, list[float]], fields: dict[str, Any] | None = None, **reading: Any) -> Record:
    found = record_of(job(**(fields or {})), outcome(laps=laps, **reading))
    assert found is not None
    return found


def test_pieces_of_work_in_a_second() -> None:
    # two examples in 0.3 + 0.4 s, the medians; with four parts a step, the optimizer's 0.4 s are shared by four
    assert speed(record(STEP), "training") == (Fraction(20, 7), Fraction(20, 7))
    assert speed(record(STEP, {"gradient_accumulation": 4}), "training") == (Fraction(5), Fraction(5))
    generated = record({"prefill": [0.5], "decode": [0.02]}, {"method": "inference", "generated_length": 26})
    assert speed(generated, "prefill") == (Fraction(256), Fraction(256))
    assert speed(generated, "decode") == (Fraction(100), Fraction(100))
    assert speed(generated, "inference") == (Fraction(2), Fraction(2))  # two answers in 0.5 s and 25 times 0.02 s
    assert speed(generated, "training") is None
    assert speed(record({"prefill": [0.5]}, {"method": "inference", "generated_length": 26}), "inference") is None


def test_a_ratio_spans_all_readings_of_both() -> None:
    slow = record({"decode": [0.04]}, {"method": "inference"})
    fast = merged(record({"decode": [0.02]}), record({"decode": [0.01]}))
    assert ratio(slow, fast, "decode") == (Fraction(2), Fraction(4))
    assert ratio(fast, slow, "decode") == (Fraction(1, 4), Fraction(1, 2))


def test_two_cards_or_two_stacks_have_no_ratio() -> None:
    one = record({"decode": [0.04]})
    other = {"gpu": "NVIDIA L4", "driver": "1", "cuda": "13.0", "device_by": "nvml"}
    assert ratio(one, record({"decode": [0.02]}, device=other), "decode") is None
    assert ratio(one, record({"decode": [0.02]}, libraries={"torch": "2.13.0"}), "decode") is None
    assert ratio(one, record({"prefill": [0.02]}), "decode") is None


def test_nothing_that_took_no_time_has_a_speed() -> None:
    assert speed(record({"decode": [0.0, 0.0]}), "decode") is None
