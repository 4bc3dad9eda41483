"""Arithmetic written out in the text: "28 + 28 + 56 + 8 + 4 = ~124"."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from typing import Final, NamedTuple

from toolkit.checks.case import READINGS, Case
from toolkit.checks.equation.evaluate import PURE, evaluate, is_sum, unit_size, values_in
from toolkit.checks.equation.parse import Binary, EquationError, Expression, Number, parse_equation
from toolkit.checks.equation.rounding import ends, firm, overlap
from toolkit.checks.judgement import Verdict
from toolkit.checks.quantities.arithmetic import judge_arithmetic
from toolkit.checks.unspecified.remark import Remark
from toolkit.documents.bind import BoundClaim
from toolkit.documents.scan.claim import Scanned
from toolkit.finding import Place
from toolkit.quantity import Dimension, Interval, Reading
from toolkit.quantity.units import PLAIN
from toolkit.spec.claim import Claim
from toolkit.spec.quote import Quote

_MOST_BYTES: Final = 20
_MANY: Final = 4
_STEPS: Final = frozenset({1000, 1024})
"""Factors between units: beside one the printed numbers may be right though their units are those before it."""

_THOUSANDS: Final = re.compile(r"(?<![\d.,])\d{1,3}(?:\.\d{3})+(?![\d.,])")
"""Numbers whose point may part thousands, as most of Europe writes them."""

_SCALES: Final = tuple(Fraction(base) ** power for base in (1000, 1024) for power in range(-4, 5))


def check_arithmetic(scanned: Scanned) -> Iterator[Remark]:
    """Every equation between printed figures; one that cannot be evaluated is passed over."""
    for read in scanned.pieces:
        for equation in read.equations:
            text = read.text[equation.start : equation.end]
            start = read.piece.start + equation.start
            remark = _judged(text, scanned.document.path, start)
            if remark is not None:
                yield remark


def _judged(text: str, path: str, start: int) -> Remark | None:
    try:
        sides = parse_equation(text)
        if not all(_checkable(left, right) for left, right in pairwise(sides)):
            return None
        outcome = judge_arithmetic(_case(text, path))
    except EquationError:
        return None
    if outcome.verdict is Verdict.UNCHECKED:
        return None
    verdict, reason, repair = outcome.verdict, outcome.reason, outcome.repair
    if verdict is Verdict.DISAGREES and _admissible(text):
        verdict, reason, repair = Verdict.AGREES, "holds within the rounding of the printed figures", None
    return Remark(start, start + len(text), "arithmetic", verdict, reason, repair)


def _case(text: str, path: str) -> Case:
    place = Place(path)
    claim = Claim("", "arithmetic", Quote(text, place), place)
    return Case(BoundClaim(claim, place, text, text, place))


def _checkable(left: Expression, right: Expression) -> bool:
    """Whether both sides speak of one kind of thing; what plain numbers count is bytes, or nothing is known."""
    kinds = [{value.unit.dimension for value in values_in(side)} - PURE for side in (left, right)]
    if not any(kinds):
        return not (_is_label(left, right) or _is_progress(left, right))
    if isinstance(left, Number) and not kinds[0]:
        return False  # what one is in terms of the other: "14B = 48 layers × 0.5 GB"
    if is_sum(left) and _is_rate(left) and not _is_rate(right):
        return False  # what is paid for is left unsaid: "$0.27/hr + $0.33/hr = $0.30"
    if kinds[0] and kinds[1] and not kinds[0] & kinds[1]:
        return False
    if kinds[1] == {Dimension.BYTES} and not kinds[0] and not is_sum(left) and not _sized(left):
        return False  # elements, whose bytes each are left unsaid: "4096 × 24 = 400 KB"
    return kinds[0] == kinds[1] or kinds[1] == {Dimension.BYTES} or (bool(kinds[0]) and len(kinds[0] | kinds[1]) > 1)


def _is_label(left: Expression, right: Expression) -> bool:
    """Whether millions stand before an expression over plain numbers, which says something of them."""
    counts = [any(value.unit.dimension is Dimension.COUNT for value in values_in(side)) for side in (left, right)]
    return isinstance(left, Number) and not isinstance(right, Number) and counts == [True, False]


def _is_progress(left: Expression, right: Expression) -> bool:
    """Whether what comes out is how many of all there are: "4 models × 8 files = 32/32"."""
    if not (isinstance(right, Binary) and right.operator == "/" and isinstance(right.right, Number)):
        return False
    try:
        made, whole = evaluate(left, "decimal"), evaluate(right.right, "decimal")
    except EquationError:
        return False
    return made == whole and not isinstance(left, Number)


def _is_rate(side: Expression) -> bool:
    try:
        return evaluate(side, "decimal").per is not None
    except EquationError:
        return False


def _sized(side: Expression) -> bool:
    """Whether a product has few factors, of which one may be the bytes of a number, or a quotient."""
    values = values_in(side)
    return _divides(side) or (len(values) < _MANY and any(max(value.printed) <= _MOST_BYTES for value in values))


def _admissible(text: str) -> bool:
    """Whether the equation holds for some numbers that the printed ones may stand for."""
    readings = dict.fromkeys(((False, text), (True, text), (False, _THOUSANDS.sub(_without_points, text))))
    for minus, written in readings:
        try:
            sides = parse_equation(written, minus=minus)
        except EquationError:
            continue
        if all(_may_hold(left, right) for left, right in pairwise(sides)):
            return True
    return False


def _without_points(found: re.Match[str]) -> str:
    return found.group().replace(".", "")


def _may_hold(left: Expression, right: Expression) -> bool:
    for reading in READINGS:
        one, other = _ends(firm(left, right), reading), _ends(right, reading)
        if one is None or other is None:
            return True
        kinds = {one.dimension, other.dimension}
        if _truncated(left, right, reading):
            return True
        if _meets(one, other, Fraction(1)) and (len(kinds) == 1 or kinds & PURE):
            return True
    values = [*values_in(left), *values_in(right)]
    if _inverse(left, right, reading="decimal"):
        return True
    no_unit = all(value.unit.dimension is Dimension.NUMBER for value in values_in(right))
    converts = _divides(left) or any(value.unit.symbol == "bits" or value.printed[0] in _STEPS for value in values)
    unsaid = is_sum(left) and all(value.unit is PLAIN for value in values_in(left))
    if not no_unit and not converts and not unsaid:
        return False
    one, other = _ends(firm(_bare(left), _bare(right)), "decimal"), _ends(_bare(right), "decimal")
    if one is None or other is None:
        return True
    mixed = unsaid or (no_unit and any(value.unit is not PLAIN for value in values))
    return any(_meets(one, other, scale) for scale in (_SCALES if mixed else _SCALES[4:5]))


def _inverse(left: Expression, right: Expression, reading: Reading) -> bool:
    """Whether a percentage is that of a quotient turned round: "100/84 = 84 %" of what was accepted."""
    if not (isinstance(left, Binary) and left.operator == "/" and isinstance(right, Number)):
        return False
    if right.value.unit.dimension is not Dimension.SHARE:
        return False
    one, other = _ends(Binary("/", left.right, left.left), reading), _ends(right, reading)
    return one is not None and other is not None and _meets(one, other, Fraction(1))


def _truncated(left: Expression, right: Expression, reading: str) -> bool:
    """Whether the printed result is the exact one with digits left off: "8 / 3 * 4096 = 10922"."""
    if not isinstance(right, Number) or len(right.value.printed) > 1:
        return False
    try:
        exact = evaluate(left, reading)
    except EquationError:
        return False
    value, printed = right.value, right.value.printed[0]
    digit = Fraction(0) if value.written.high is None else 2 * (value.written.high - printed)
    if value.hedge is not None or digit <= 0 or exact.low != exact.high:
        return False
    shown = {exact.low / unit_size(value.unit, reading)}
    if exact.dimension in PURE and value.unit.dimension in PURE:
        shown.add(exact.low)
    return any(one // digit * digit == printed for one in shown)


class _Ends(NamedTuple):
    """What each end of an expression may be, by the rounding of the figures in it."""

    bottom: Interval
    top: Interval
    dimension: Dimension

    @property
    def point(self) -> bool:
        """Whether both ends are one."""
        return self.bottom == self.top


def _ends(side: Expression, reading: str) -> _Ends | None:
    try:
        exact, wide = evaluate(side, reading), evaluate(side, reading, rounded=True)
    except EquationError:
        return None
    return _Ends(*ends(exact, wide), exact.dimension)


def _meets(one: _Ends, other: _Ends, scale: Fraction) -> bool:
    low, high = one.bottom.scaled(scale), one.top.scaled(scale)
    if one.point and not other.point:
        return overlap(low, other.bottom.hull(other.top))
    return overlap(low, other.bottom) and overlap(high, other.top)


def _divides(side: Expression) -> bool:
    if not isinstance(side, Binary):
        return False
    return side.operator == "/" or _divides(side.left) or _divides(side.right)


def _bare(side: Expression) -> Expression:
    """The expression over the printed numbers alone."""
    match side:
        case Number(value, exact):
            return Number(replace(value, unit=PLAIN), exact)
        case Binary(operator, left, right):
            return Binary(operator, _bare(left), _bare(right))
        case _:
            return side
