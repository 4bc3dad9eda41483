"""Readings of one source that contradict each other: runs that say the same, and read amounts too far apart."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

APART = 1.5
"""Repeats of a run differ by a few per cent. Where two that say the same differ by more than this factor, something
that moves memory was not said of one of them, and of which nobody can tell."""

_SIZES = ("batch_size", "sequence_length")
"""Fields of which a range says that memory may differ: rows of one set of data are longer than those of another."""


def set_apart(runs: Iterable[Mapping[str, Any]]) -> int:
    """Says of contradicting readings that they are; returns how many there are."""
    alike: dict[str, list[dict[str, Any]]] = {}
    for run in runs:
        if run.get("beyond") or any(isinstance(run["scenario"].get(name), dict) for name in _SIZES):
            continue
        for reading in run["readings"]:
            key = json.dumps([run["scenario"], reading["metric"], reading.get("over")], sort_keys=True)
            if "apart" not in reading:
                alike.setdefault(key, []).append(reading)
    found = 0
    for readings in alike.values():
        amounts = [_least(reading) for reading in readings]
        if min(amounts) > 0 and max(amounts) > APART * min(amounts):
            found += len(readings)
            for reading in readings:
                reading["apart"] = (
                    f"records that say the same read {min(amounts) / 10**9:.2f} to {max(amounts) / 10**9:.2f} GB: "
                    "something that moves memory is not said"
                )
    return found


def _least(reading: Mapping[str, Any]) -> int:
    amounts = reading["bytes"]
    return min(amounts) if isinstance(amounts, list) else int(amounts)
