"""What the figures of an equation may stand for: an amount that was rounded to its digits, or a number as counted."""

from __future__ import annotations

from collections.abc import Mapping

from toolkit.checks.equation.evaluate import PURE, Amount, values_in
from toolkit.checks.equation.parse import Binary, Expression, Name, Number
from toolkit.quantity.interval import Interval
from toolkit.quantity.value import Dimension, Value

_COUNTED = frozenset({"bytes", "byte", "bits"})
"""Units of what each number takes, of which there is a whole number: "7B × 2 bytes"."""


def firm(side: Expression, beside: Expression, names: Mapping[str, Value] | None = None) -> Expression:
    """One side of an equation with what was counted as exact: evaluated with rounding, only the rest is rounded.

    Whole numbers without a unit are counted, as are bytes of a number. But the terms of a sum take the unit of what
    they come to: in "28 + 28 = 56 GB" they are gigabytes, each rounded.
    """
    values = [*values_in(side, names), *values_in(beside, names)]
    physical = any(value.unit.dimension not in PURE for value in values)
    return _firm(side, names or {}, term=physical)


def _firm(side: Expression, names: Mapping[str, Value], *, term: bool) -> Expression:
    match side:
        case Name(name) if name in names:
            return _firm(Number(names[name]), names, term=term)
        case Number(value, exact):
            return Number(value, exact or _is_counted(value, term=term))
        case Binary(operator, left, right):
            term &= operator in {"+", "-"}
            return Binary(operator, _firm(left, names, term=term), _firm(right, names, term=term))
        case _:
            return side


def _is_counted(value: Value, *, term: bool) -> bool:
    whole = len(value.printed) == 1 and value.printed[0].denominator == 1 and value.hedge is None
    unit = value.unit
    return whole and (unit.symbol in _COUNTED or (unit.dimension is Dimension.NUMBER and not term))


def ends(exact: Amount, wide: Amount) -> tuple[Interval, Interval]:
    """What each end of an amount may be, from the amount as printed and from that of all that it may stand for."""
    if exact.low == exact.high:
        return wide.interval, wide.interval
    return Interval(wide.low, 2 * exact.low - wide.low), Interval(2 * exact.high - wide.high, wide.high)


def overlap(one: Interval, other: Interval) -> bool:
    """Whether two roundings share more than their ends: 112 give or take 1.5 is not what 114 is rounded from."""
    if not one.meets(other):
        return False
    touching = one.low == other.high or one.high == other.low
    return not touching or one.low == one.high or other.low == other.high
