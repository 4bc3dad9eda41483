"""One value at one place of a text: what leads to it, its one or two ends, what trails it."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final, NamedTuple

from toolkit.quantity.ends import Ends, read_ends
from toolkit.quantity.interval import Interval
from toolkit.quantity.markup import PlainText
from toolkit.quantity.number import CHUNK
from toolkit.quantity.term import MONEY, WORD_CHARACTER, read_term
from toolkit.quantity.units import PLAIN
from toolkit.quantity.value import Bound, Dimension, Unit, Value
from toolkit.quantity.wording import Wording, read_leads, read_trail

START: Final = re.compile(rf"(?P<sign>[+\-−])?(?P<money>{MONEY})?(?P<chunk>{CHUNK})")
"""Where the number of a value may begin: a sign, a currency, a run of digits."""

_FOREIGN: Final = frozenset("$€£¥₹±")
_NOT_BEFORE: Final = frozenset("#%^@\\~.")
_SIGNS: Final = frozenset("+-−–—")
_HYPHENS: Final = frozenset("-‐‑")
_MARKER: Final = re.compile(r"(?:\A|\n)[ \t]{0,3}(#{1,6} )?\Z")
_MARKER_LOOK: Final = 12
_LIST_MARK: Final = re.compile(r"[.)](?:\s|\Z)")
_ALSO: Final = {
    Dimension.NUMBER: frozenset({Dimension.COUNT, Dimension.RATIO}),
    Dimension.COUNT: frozenset({Dimension.NUMBER}),
}


class Read(NamedTuple):
    """What was read in one place: a value or nothing, and where reading goes on in the plain text."""

    value: Value | None
    resume: int


class Wanted(NamedTuple):
    """What the reader of a value asks for: a dimension, and the unit that a bare number has."""

    dimension: Dimension | None = None
    implied: Unit | None = None


def read_value(plain: PlainText, found: re.Match[str], resume: int, wanted: Wanted) -> Read:
    """The value whose number begins at a match of `START`; `resume` is where the value before it ended."""
    text = plain.text
    first, after = read_term(text, found, wanted.dimension, money=bool(found["money"]))
    if first is None:
        return Read(None, after)
    leads, start = read_leads(text, resume, found.start())
    begin = found.start() if start < found.start() else _number_begins(text, found, resume)
    if begin is None or text[max(0, start - 3) : start].rstrip(" \u00a0")[-1:] in _FOREIGN:
        return Read(None, after)
    if begin > found.start() and first.number.value < 0:
        first = first._replace(number=first.number.negated())
    ends = read_ends(text, first, min(start, begin), wanted.dimension, between=leads.between)
    if not ends.numbers or _is_marker(text, begin, ends):
        return Read(None, ends.end)
    if (leads.between and len(ends.numbers) == 1) or (leads.during and ends.unit is PLAIN):
        leads, start = Wording(), begin
    trail, end = read_trail(text, ends.end)
    span = (begin if leads == Wording() else start, end)
    return Read(_value(plain, span, ends, (leads, trail), wanted), end)


def _number_begins(text: str, found: re.Match[str], resume: int) -> int | None:
    """Where the number begins with its sign or currency; None where it is part of a name, a path, a formula.

    A sign between two numbers or behind a parenthesis is an operator: the number begins after it.
    """
    start = found.start()
    before = text[max(0, start - 1) : start]
    touches = WORD_CHARACTER.match(before) is not None
    if found["sign"]:
        operates = before == ")" or (touches and found["sign"] == "+")
        refused = before in _SIGNS or (touches and not operates)
        return None if refused else start + operates
    if touches or before in _NOT_BEFORE:
        return None
    earlier = text[max(0, start - 2) : start - 1] if before else ""
    if WORD_CHARACTER.match(earlier) is None:
        return start
    path = before == "/" and start - 1 != resume and not earlier.isdigit()
    return None if path or before in _HYPHENS else start


def _is_marker(text: str, begin: int, ends: Ends) -> bool:
    """Whether the number counts a list item or a section: "1. Setup", "### 3.1 Parameters"."""
    if ends.unit is not PLAIN or len(ends.numbers) > 1:
        return False
    marker = _MARKER.search(text, max(0, begin - _MARKER_LOOK), begin)
    return marker is not None and bool(marker[1] or _LIST_MARK.match(text, ends.end))


def _value(
    plain: PlainText, span: tuple[int, int], ends: Ends, wording: tuple[Wording, Wording], wanted: Wanted
) -> Value | None:
    """The value, unless its bounds contradict each other or its dimension is not the one wanted."""
    leads, trail = wording
    bounds = leads.bounds | trail.bounds
    if ends.plus:
        bounds |= {Bound.AT_LEAST}
    unit = _served(wanted.implied if wanted.implied and ends.unit is PLAIN else ends.unit, wanted.dimension)
    if len(bounds) > 1 or unit is None:
        return None
    bound = next(iter(bounds), Bound.POINT)
    hedge = leads.hedge or ends.hedge or trail.hedge
    reaches = [(number.hedged() if hedge else number).reach for number in ends.numbers]
    start, end = plain.span(*span)
    return Value(
        text=plain.source[start:end],
        start=start,
        end=end,
        printed=tuple(number.value for number in ends.numbers),
        written=bounded(reaches[0] if len(reaches) == 1 else reaches[0].hull(reaches[1]), bound),
        unit=unit,
        hedge=hedge,
        bound=bound,
    )


def bounded(interval: Interval, bound: Bound) -> Interval:
    """The interval without the side that a bound leaves open."""
    if bound is Bound.POINT:
        return interval
    return Interval(
        None if bound is Bound.AT_MOST else interval.low,
        None if bound is Bound.AT_LEAST else interval.high,
    )


def _served(unit: Unit, dimension: Dimension | None) -> Unit | None:
    """The unit for the dimension that is asked for; a bare number and a count serve others as well."""
    if dimension is None or dimension is unit.dimension:
        return unit
    return replace(unit, dimension=dimension) if dimension in _ALSO.get(unit.dimension, ()) else None
