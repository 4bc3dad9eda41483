"""Speeds from measured records, and how much faster one is than another."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from toolkit.evidence.record import Record
from toolkit.memory.ledger import PhaseName

Rates = tuple[Fraction, Fraction]
"""The least and the most."""

STEP = (PhaseName.FORWARD_END, PhaseName.BACKWARD, PhaseName.OPTIMIZER_STEP)
WORK = ("training", "prefill", "decode")
"""What is timed: examples trained, tokens of prompts read, tokens written; each for a second."""


def speed(record: Record, work: str) -> Rates | None:
    """The slowest and the fastest reading of a record, in examples or tokens a second; None where none was timed."""
    rates = [
        rate
        for reading in record.made["readings"]
        if (rate := _rate(record.setting, reading.get("times", {}), work)) is not None
    ]
    return (min(rates), max(rates)) if rates else None


def ratio(slower: Record, faster: Record, work: str) -> Rates | None:
    """How many times as fast the second is as the first, over all their readings.

    None where either was not timed, or they were not measured on one card with the same libraries.
    """
    if (slower.gpu, dict(slower.libraries)) != (faster.gpu, dict(faster.libraries)):
        return None
    first, second = speed(slower, work), speed(faster, work)
    if first is None or second is None:
        return None
    slowest, fastest = first
    least, most = second
    return least / fastest, most / slowest


def _rate(setting: Mapping[str, Any], times: Mapping[str, float], work: str) -> Fraction | None:
    """Examples or tokens in a second; an optimizer step is shared by the parts that it accumulates."""
    batch = Fraction(int(setting["batch_size"]))
    if work == "training":
        if not all(phase in times for phase in STEP):
            return None
        forward, backward, step = (_seconds(times[phase]) for phase in STEP)
        seconds = forward + backward + step / int(setting["gradient_accumulation"])
        return batch / seconds if seconds else None
    if work not in times or not times[work]:
        return None
    tokens = int(setting["sequence_length"]) if work == "prefill" else 1
    return batch * tokens / _seconds(times[work])


def _seconds(value: float) -> Fraction:
    return Fraction(str(value))
