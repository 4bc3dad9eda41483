"""The values of a piece of text, with the hedges of other languages, and the units that a column gives."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache
from typing import Final

from toolkit.documents.scan.names import gpu_spans
from toolkit.quantity import UNITS, Dimension, Unit, Value, find_values, parse_value
from toolkit.quantity.interval import Interval

_BEFORE: Final = re.compile(
    r"(?:(?i:environ|env\.|etwa|rund|ungefähr|circa|ca\.?|aproximadamente|cerca de|unos"
    r"|около|примерно|приблизительно)\s"
    r"|约为?|大约|約|およそ|약)\s?\Z"
)
_AFTER: Final = re.compile(r"\s?(?:左右|程度|前後|前后|上下|정도)")
_SHORT: Final = 80
_SHARE: Final = Fraction(1, 20)
_UNIT_IN_HEADING: Final = re.compile(
    r"[(\[,/]\s*(?:in\s+)?(GiB|GB|MiB|MB|TB|TiB|GB's|Go|Mo|B|M|%|billions?|millions?)\s*[)\]]?\s*\Z"
)
_HEADING_UNITS: Final = {"B": "B", "M": "M", "billions": "billion", "millions": "million", "Go": "GB", "Mo": "MB"}


def values_in(text: str) -> list[Value]:
    """Every value of a text, left to right; the digits in the name of a GPU are none."""
    return list(_of_short(text)) if len(text) <= _SHORT else _read(text)


@lru_cache(maxsize=8192)
def _of_short(text: str) -> tuple[Value, ...]:
    """Cells and labels repeat themselves."""
    return tuple(_read(text))


def _read(text: str) -> list[Value]:
    values = find_values(text)
    names = iter(gpu_spans(text) if values else ())
    start, end = next(names, (len(text), len(text)))
    kept: list[Value] = []
    for value in values:
        while end <= value.start:
            start, end = next(names, (len(text) + 1, len(text) + 1))
        if value.start < start or value.unit.dimension is not Dimension.NUMBER:
            kept.append(_hedged(text, value))
    return kept


def _hedged(text: str, value: Value) -> Value:
    if value.hedge is not None:
        return value
    before = _BEFORE.search(text[max(0, value.start - 20) : value.start])
    after = _AFTER.match(text, value.end)
    word = before.group().strip() if before else after.group().strip() if after else None
    if word is None:
        return value
    around = Interval(min(value.printed), max(value.printed)).widened(_SHARE)
    low, high = value.written.low, value.written.high
    written = Interval(
        None if low is None or around.low is None else min(low, around.low),
        None if high is None or around.high is None else max(high, around.high),
    )
    return replace(value, hedge=word, written=written)


def unit_of_heading(heading: str) -> Unit | None:
    """The unit that a column's heading gives to its cells: "VRAM (GB)"."""
    found = _UNIT_IN_HEADING.search(heading[-60:])
    if found is None:
        return None
    return UNITS.get(_HEADING_UNITS.get(found[1], found[1]))


def cell_value(text: str, heading: str) -> Value | None:
    """The one value that a cell is, in the unit that its column gives to a bare number."""
    implied = unit_of_heading(heading)
    if implied is None:
        return None
    value = parse_value(text, implied=implied)
    return value if value is not None and value.unit.dimension in {implied.dimension, Dimension.BYTES} else None
