"""The values of a piece of text, with the hedges of other languages, and the units that a column gives."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache
from typing import Final

from toolkit.documents.scan.leads import bound_at, hedge_at
from toolkit.documents.scan.names import gpu_spans
from toolkit.quantity import UNITS, Bound, Dimension, Unit, Value, find_values, parse_value
from toolkit.quantity.interval import Interval
from toolkit.quantity.reader import bounded

_CUT: Final = re.compile(r"[\s*_`~≈]*([0-9]{1,6}(?:\.[0-9]{1,2})?) ?([GM])(?![A-Za-z0-9])")
_CHIP: Final = re.compile(r"Max[\s(]*")
_CHIP_SERIES: Final = re.compile(r"\bM[1-9] \Z")
_SERIES: Final = 4
_DIGITS: Final = 3
"""Digits from which a bare "M" under a word of memory means megabytes."""

_SHORT: Final = 80
_SHARE: Final = Fraction(1, 20)
_UNIT_IN_HEADING: Final = re.compile(
    r"[(\[（,/]\s*(?:[iе]n\s+|单位[:：]\s?|単位[:：]\s?)?"
    r"(GiB|GB|MiB|MB|TB|TiB|GB's|Gb|gb|G|Go|Mo|ГБ|B|M|%|billions?|millions?)(?:\s*/\s*GPU|\s+per\s+GPU)?"
    r"(?:\s*[)\]）]?\s*|\s+\([^()]{1,16}\))\Z"
    r"|(?:\b(?:memory|vram|ram|mem)\s(?:in\s)?|[a-z]_)(GiB|GB|MiB|MB)\s*\Z",
    re.IGNORECASE,
)
_HEADING_UNITS: Final = {
    "b": "B", "m": "M", "billion": "billion", "million": "million", "billions": "billion", "millions": "million",
    "go": "GB", "mo": "MB", "гб": "GB", "g": "GB", "gb": "GB", "gb's": "GB", "gib": "GiB", "mb": "MB", "mib": "MiB",
    "tb": "TB", "tib": "TiB", "%": "%",
}  # fmt: skip


def values_in(text: str) -> list[Value]:
    """Every value of a text, left to right; the digits in the name of a GPU are none."""
    return list(_of_short(text)) if len(text) <= _SHORT else _read(text)


@lru_cache(maxsize=8192)
def _of_short(text: str) -> tuple[Value, ...]:
    """Cells and labels repeat themselves."""
    return tuple(_read(text))


def _read(text: str) -> list[Value]:
    values = [_bounded(text, _of_apple(text, value)) for value in find_values(text)]
    names = iter(gpu_spans(text) if values else ())
    start, end = next(names, (len(text), len(text)))
    kept: list[Value] = []
    for value in values:
        while end <= value.start:
            start, end = next(names, (len(text) + 1, len(text) + 1))
        if value.start < start or value.unit.dimension is not Dimension.NUMBER:
            kept.append(_hedged(text, value))
    return kept


def _of_apple(text: str, value: Value) -> Value:
    """The value without the word that ends the name of a chip: "Max" of "M4 Max 128 GB" is no bound."""
    named = _CHIP.match(value.text) if value.bound is Bound.AT_MOST else None
    if named is None or not _CHIP_SERIES.search(text[max(0, value.start - _SERIES) : value.start]):
        return value
    plain = parse_value(value.text[named.end() :])
    return value if plain is None else replace(plain, start=value.start + named.end(), end=value.end)


def _bounded(text: str, value: Value) -> Value:
    """The value with the bound that other languages give it."""
    if value.bound is not Bound.POINT or len(value.printed) > 1:
        return value
    bound = bound_at(text, value.start, value.end)
    return value if bound is None else replace(value, bound=bound, written=bounded(value.written, bound))


def bare_cell(text: str) -> Value | None:
    """The amount with which a cell under a word of memory begins, its unit cut short: "6.7G / 1.0s/it"."""
    found = _CUT.match(text)
    if found is None or (found[2] == "M" and len(found[1].partition(".")[0]) < _DIGITS):
        return None
    value, (start, end) = parse_value(f"{found[1]}{found[2]}B"), (found.start(1), found.end())
    return replace(value, text=text[start:end], start=start, end=end) if value else None


def _hedged(text: str, value: Value) -> Value:
    if value.hedge is not None:
        return value
    word = hedge_at(text, value.start, value.end)
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
    return UNITS.get(_HEADING_UNITS[(found[1] or found[2]).casefold()])


def cell_value(text: str, heading: str) -> Value | None:
    """The one value that a cell is, in the unit that its column gives to a bare number."""
    implied = unit_of_heading(heading)
    if implied is None:
        return None
    value = parse_value(text, implied=implied)
    return value if value is not None and value.unit.dimension in {implied.dimension, Dimension.BYTES} else None
