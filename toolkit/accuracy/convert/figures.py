"""From a published figure to a reading: its metric, its bytes, and why it is not what it seems."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from toolkit.accuracy.convert.draft import Record
from toolkit.accuracy.convert.vocabulary import word

_STAGE = re.compile(r"stage=([^;]+)")
_UNITS: Mapping[str, tuple[int, ...]] = {
    "GB": (10**9, 2**30),
    "G": (10**9, 2**30),
    "MB": (10**6, 2**20),
    "GiB": (2**30,),
    "MiB": (2**20,),
    "bytes": (1,),
}
"""What the units of figures mean whose bytes the record does not settle."""


def reading_of(record: Record) -> dict[str, Any]:
    """The reading of a record, as it is written."""
    reading: dict[str, Any] = {"id": record["id"], "metric": metric_of(record)}
    settled = record["value_bytes"]
    amounts = [round(settled)] if settled is not None else _amounts(record["value"], record["unit"])
    reading["bytes"] = amounts[0] if len(amounts) == 1 else amounts
    if record["unit"] != "bytes":
        reading["printed"] = f"{record['value']} {record['unit']}"
    return reading


def _amounts(value: float, unit: str) -> list[int]:
    return [round(value * factor) for factor in _UNITS[unit]]


def metric_of(record: Record) -> str:
    """What was read."""
    stage = _STAGE.search(record["notes"] or "")
    if record["metric"] in ("allocated_at_stage", "allocated_max") and stage:
        return str(word("stages", stage[1].strip()))
    return str(word("metrics", record["metric"]))
