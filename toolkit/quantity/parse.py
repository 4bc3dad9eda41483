"""Values as people write them: found in running text, or read from a text that is one value; linear time."""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache
from typing import Final

from toolkit.quantity.interval import Interval
from toolkit.quantity.markup import plain_text
from toolkit.quantity.reader import START, Wanted, bounded, read_value
from toolkit.quantity.value import Dimension, Unit, Value

MAX_PARSED: Final = 8192
"""Texts whose value is kept: a claim's text is read for its unit, for its reading and for its verdict."""

_NOTHING_MORE: Final = re.compile(r"\s*\Z")
_NOUNS: Final = re.compile(r"(?:\s+[A-Za-z][A-Za-z-]{0,23}+){0,4}+\s*\Z")
_COUNTED: Final = frozenset({Dimension.NUMBER, Dimension.COUNT})


def find_values(text: str) -> list[Value]:
    """Every value in running text, left to right; `start` and `end` are places in `text` itself.

    Rather no value than a wrong one. None is read from a version, a date, a time, a list without spaces
    ("1,2"), a decimal comma, a part of a name ("Qwen2.5-7B", "A100"), a compound ("4-bit"), a bandwidth ("900
    GB/s"), a foreign currency, an ambiguous letter ("24G", "7 B"), a falling pair with a hyphen ("30-5"),
    what is struck out, or the number of a list item or a heading. A "~" or "≈" belongs to the number that
    follows it.
    """
    plain, wanted = plain_text(text), Wanted()
    values: list[Value] = []
    resume = 0
    while found := START.search(plain.text, resume):
        value, resume = read_value(plain, found, resume, wanted)
        if value is not None:
            values.append(value)
    return values


@lru_cache(maxsize=MAX_PARSED)
def parse_value(text: str, dimension: Dimension | None = None, *, implied: Unit | None = None) -> Value | None:
    """The one value that the whole text is; emphasis and space around it, and what is counted, are ignored.

    A dimension refuses values of any other and settles ambiguous symbols: "24G" of BYTES, "7 B" of COUNT or
    BYTES. A bare number serves as NUMBER, COUNT or RATIO, and a count such as "10k" as NUMBER; the unit of
    the value then has the dimension that was asked for. `implied` is the unit of a bare number, as a column's
    heading gives it ("VRAM (GB)").
    """
    plain = plain_text(text)
    begin = len(plain.text) - len(plain.text.lstrip())
    found = START.search(plain.text, begin)
    if found is None:
        return None
    value, resume = read_value(plain, found, 0, Wanted(dimension, implied))
    if value is None or value.start > plain.places[begin]:
        return None
    rest = _NOUNS if value.unit.dimension in _COUNTED else _NOTHING_MORE
    return value if rest.match(plain.text, resume) else None


def exact_value(value: Value) -> Fraction | None:
    """The printed number as if it were exact, in the unit as written; None for a range."""
    return value.printed[0] if len(value.printed) == 1 else None


def exact_interval(value: Value) -> Interval:
    """The printed number or range as if exact, in the unit as written; a bound keeps its open side."""
    return bounded(Interval(min(value.printed), max(value.printed)), value.bound)
