"""The values of a piece of text, with the hedges of other languages, and the units that a column gives."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache
from typing import Final

from toolkit.documents.scan.names import gpu_spans
from toolkit.quantity import UNITS, Bound, Dimension, Unit, Value, find_values, parse_value
from toolkit.quantity.interval import Interval

_BEFORE: Final = re.compile(
    r"(?:(?i:environ|env\.|etwa|rund|ungefähr|circa|ca\.?|aproximadamente|cerca de|unos|quase|casi"
    r"|около|примерно|приблизительно)\s"
    r"|约为?|大约|大概|约需|約|およそ|약)\s?[*_`]{0,2}\Z"
)
_AFTER: Final = re.compile(r"\s?(?:左右|程度|前後|前后|上下|정도)")
_LEAST: Final = re.compile(
    r"(?:(?i:mindestens|wenigstens|ab|mehr als|über|au moins|minimum(?: de)?|plus de|al menos|mínimo(?: de)?|más de"
    r"|pelo menos|mais de|не менее|минимум)\s|至少|最低|不少于|(?<!不)超过|最低でも|少なくとも|최소)\s?[*_`]{0,2}\Z"
)
_MOST: Final = re.compile(
    r"(?:(?i:höchstens|maximal|bis zu|weniger als|unter|jusqu['’]à|au plus|moins de|hasta|menos de|como máximo|até"
    r"|no máximo|не более|до)\s|最多|不超过|不到|不足|低于|小于|最大|少于)\s?[*_`]{0,2}\Z"
)
_LEAST_AFTER: Final = re.compile(r"\s?(?:以上|及以上|起|이상)")
_MOST_AFTER: Final = re.compile(r"\s?(?:以内|以下|未満|이하|미만)")
_CUT: Final = re.compile(r"[\s*_`~≈]*([0-9]{1,6}(?:\.[0-9]{1,2})?) ?([GM])(?![A-Za-z0-9])")
_DIGITS: Final = 3
"""Digits from which a bare "M" under a word of memory means megabytes."""

_SHORT: Final = 80
_SHARE: Final = Fraction(1, 20)
_UNIT_IN_HEADING: Final = re.compile(
    r"[(\[（,/]\s*(?:[iе]n\s+|单位[:：]\s?|単位[:：]\s?)?"
    r"(GiB|GB|MiB|MB|TB|TiB|GB's|Gb|gb|G|Go|Mo|ГБ|B|M|%|billions?|millions?)(?:\s*/\s*GPU|\s+per\s+GPU)?\s*[)\]）]?\s*\Z"
    r"|\b(?:memory|vram|ram|mem)\s(?:in\s)?(GiB|GB|MiB|MB)\s*\Z",
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
    values = [_bounded(text, value) for value in find_values(text)]
    names = iter(gpu_spans(text) if values else ())
    start, end = next(names, (len(text), len(text)))
    kept: list[Value] = []
    for value in values:
        while end <= value.start:
            start, end = next(names, (len(text) + 1, len(text) + 1))
        if value.start < start or value.unit.dimension is not Dimension.NUMBER:
            kept.append(_hedged(text, value))
    return kept


def _bounded(text: str, value: Value) -> Value:
    """The value with the bound that other languages give it."""
    if value.bound is not Bound.POINT or len(value.printed) > 1:
        return value
    before = text[max(0, value.start - 24) : value.start]
    low, high = value.written.low, value.written.high
    if _LEAST.search(before) or _LEAST_AFTER.match(text, value.end):
        return replace(value, bound=Bound.AT_LEAST, written=Interval(low, None))
    if _MOST.search(before) or _MOST_AFTER.match(text, value.end):
        return replace(value, bound=Bound.AT_MOST, written=Interval(None, high))
    return value


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
    return UNITS.get(_HEADING_UNITS[(found[1] or found[2]).casefold()])


def cell_value(text: str, heading: str) -> Value | None:
    """The one value that a cell is, in the unit that its column gives to a bare number."""
    implied = unit_of_heading(heading)
    if implied is None:
        return None
    value = parse_value(text, implied=implied)
    return value if value is not None and value.unit.dimension in {implied.dimension, Dimension.BYTES} else None
