"""From a published figure to a reading: its metric, its bytes, and why it is not what it seems."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from toolkit.accuracy.convert.form import Record
from toolkit.accuracy.convert.vocabulary import word
from toolkit.spec.written.published import READING_METRICS
from toolkit.spec.yaml.known import shown

_STAGE = re.compile(r"stage=([^;]+)")
_STAGE_WORDS = (
    (re.compile(r"\bafter (?:the )?(?:model )?(?:is )?(?:load(?:ed|ing)?|from_pretrained)\b"), "allocated_at_load"),
    (re.compile(r"\bafter (?:the )?forward\b"), "allocated_after_forward"),
    (re.compile(r"\bafter (?:the )?backward\b"), "allocated_after_backward"),
)
_FORWARD_ALONE = re.compile(
    r"\b(?:peak|maximum) (?:of|over|in|within) (?:the |a )?forward (?:pass )?(?:alone|only)\b"
    r"|\b(?:peak|maximum) (?:of|over|in|within) (?:the |a )?forward pass,? (?:but )?not (?:of |in )?(?:the )?backward\b"
)
"""What says that a peak is not of the pass back nor of the step."""
_UNITS: Mapping[str, tuple[int, ...]] = {
    "gb": (10**9, 2**30),
    "g": (10**9, 2**30),
    "mb": (10**6, 2**20),
    "m": (10**6, 2**20),
    "gib": (2**30,),
    "mib": (2**20,),
    "kib": (2**10,),
    "bytes": (1,),
    "b": (1,),
}
"""What the units of figures mean whose bytes the record does not settle."""


class UnreadFigureError(ValueError):
    """A figure that is no reading of memory, or of none that a metric here is of: says which and why."""


def reading_of(record: Record) -> dict[str, Any]:
    """The reading of a record, as it is written. Raises UnreadFigureError where it is none."""
    reading: dict[str, Any] = {"id": record["id"], "metric": metric_of(record)}
    amounts = _amounts(record)
    reading["bytes"] = amounts[0] if len(amounts) == 1 else amounts
    if record["unit"] != "bytes":
        reading["printed"] = f"{record['value']} {record['unit'] or ''}".rstrip()
    return reading


def _amounts(record: Record) -> list[int]:
    settled, value, unit = record["value_bytes"], record["value"], record["unit"]
    if settled is not None and not isinstance(settled, bool):
        return [round(settled)]
    if value is None or isinstance(value, bool):
        raise UnreadFigureError(f"metric {shown(record['metric'])}: the value is no number of bytes")
    factors = _UNITS.get((unit or "").strip().casefold())
    if factors is None:
        raise UnreadFigureError(f"unit {shown(str(unit))} is not known; known: {', '.join(_UNITS)}")
    return [round(value * factor) for factor in factors]


def _stage_in_words(notes: str) -> str | None:
    """The stage that remarks name in a sentence, None where they name none or two."""
    found = {metric for sign, metric in _STAGE_WORDS if sign.search(notes.casefold())}
    return found.pop() if len(found) == 1 else None


def metric_of(record: Record) -> str:
    """What was read. Raises UnreadFigureError for what no metric here is."""
    published = record["metric"]
    stage = _STAGE.search(record["notes"] or "")
    if published == "allocated_at_stage" or (published == "allocated_max" and stage):
        found = word("stages", stage[1].strip()) if stage else _stage_in_words(record["notes"] or "")
        if found is None:
            named = f"stage {shown(stage[1].strip())}" if stage else "a stage that the notes do not name"
            raise UnreadFigureError(f"metric {published} of {named} is not known")
        return str(found)
    if published == "allocated_max" and _FORWARD_ALONE.search((record["notes"] or "").casefold()):
        return "allocated_over_forward"
    found = word("metrics", published) or (published if published in READING_METRICS else None)
    if found is None:
        raise UnreadFigureError(f"metric {shown(published)} is not known")
    return str(found)
