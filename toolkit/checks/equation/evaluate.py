"""Expression trees to amounts, with units: bytes, seconds and dollars are kept apart from plain numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction

from toolkit.checks.equation.parse import Binary, EquationError, Expression, Name, Number, exponent_of
from toolkit.frozen import frozen
from toolkit.quantity.interval import Interval
from toolkit.quantity.units import RATE_SECONDS, rate_of
from toolkit.quantity.value import Dimension, Unit, Value

PURE = {Dimension.NUMBER, Dimension.COUNT, Dimension.RATIO, Dimension.SHARE}
MAX_BITS = 512


@frozen
class Amount:
    """The numbers from `low` to `high` in the base unit of `dimension`; NUMBER has taken no unit yet.

    `per` is what money is spent per, as it is printed: 4 of "$4/hour" is 4 per "hour".
    """

    low: Fraction
    high: Fraction
    dimension: Dimension
    per: str | None = None

    @property
    def interval(self) -> Interval:
        """The amount as an interval."""
        return Interval(self.low, self.high)

    def per_unit(self, unit: Unit) -> Amount:
        """Money per time, in the time of a unit that it is compared with ("$96/day" is "$4/hour")."""
        wanted = rate_of(unit)
        sizes = RATE_SECONDS.get(self.per or ""), RATE_SECONDS.get(wanted or "")
        if sizes[0] is None or sizes[1] is None or sizes[0] == sizes[1]:
            return self
        share = sizes[1] / sizes[0]
        return Amount(self.low * share, self.high * share, self.dimension, wanted)

    def in_unit(self, unit: Unit, reading: str) -> Amount:
        """A plain number takes the unit it is printed beside; anything else stays."""
        if self.dimension is not Dimension.NUMBER:
            return self
        size = unit_size(unit, reading)
        return Amount(self.low * size, self.high * size, unit.dimension, rate_of(unit))


def unit_size(unit: Unit, reading: str) -> Fraction:
    """The size of a unit under a reading; a unit with one meaning has that one under every reading."""
    sizes = dict(unit.readings)
    return sizes[reading] if reading in sizes else next(iter(sizes.values()))


def amount_of(value: Value, reading: str, *, rounded: bool) -> Amount:
    """A printed value as an amount: its digits taken as exact, or as the interval they round to."""
    low, high = min(value.printed), max(value.printed)
    if rounded:
        low = low if value.written.low is None else value.written.low
        high = high if value.written.high is None else value.written.high
    size = unit_size(value.unit, reading)
    return Amount(low * size, high * size, value.unit.dimension, rate_of(value.unit))


def evaluate(
    expression: Expression, reading: str, names: Mapping[str, Value] | None = None, *, rounded: bool = False
) -> Amount:
    """What an expression comes to under a reading of its units. Raises EquationError."""
    match expression:
        case Number(value, exact):
            return amount_of(value, reading, rounded=rounded and not exact)
        case Name(name):
            if names is None or name not in names:
                known = ", ".join(sorted(names or ())) or "none"
                raise EquationError(f"{name!r} is bound to no value (known: {known})")
            return amount_of(names[name], reading, rounded=rounded)
        case Binary("^", left, right):
            return _power(evaluate(left, reading, names, rounded=rounded), exponent_of(right))
        case Binary(operator, left, right):
            first = evaluate(left, reading, names, rounded=rounded)
            second = evaluate(right, reading, names, rounded=rounded)
            if operator in "+-":
                if second.dimension is Dimension.SHARE is not first.dimension:
                    return _changed_by(first, second, subtract=operator == "-")
                return _add(*_aligned(first, second, left, right, reading), subtract=operator == "-")
            return _divide(first, second) if operator == "/" else _multiply(first, second)


def is_sum(expression: Expression) -> bool:
    """Whether the last operation is a sum or difference, whose terms may each be rounded."""
    return isinstance(expression, Binary) and expression.operator in {"+", "-"}


def values_in(expression: Expression, names: Mapping[str, Value] | None = None) -> list[Value]:
    """The values of an expression, left to right."""
    match expression:
        case Number(value):
            return [value]
        case Name(name):
            return [names[name]] if names and name in names else []
        case Binary(_, left, right):
            return values_in(left, names) + values_in(right, names)


def _aligned(first: Amount, second: Amount, left: Expression, right: Expression, reading: str) -> tuple[Amount, Amount]:
    """Terms of a sum in one dimension: a bare number takes the unit of the other side ("28 + 4 GB")."""
    if first.dimension is second.dimension:
        return first, second
    if first.dimension is Dimension.NUMBER and (unit := _last_physical_unit(right)):
        return first.in_unit(unit, reading), second
    if second.dimension is Dimension.NUMBER and (unit := _last_physical_unit(left)):
        return first, second.in_unit(unit, reading)
    return first, second


def _last_physical_unit(expression: Expression) -> Unit | None:
    units = [value.unit for value in values_in(expression) if value.unit.dimension not in PURE]
    return units[-1] if units else None


def _add(first: Amount, second: Amount, *, subtract: bool) -> Amount:
    dimension = _sum_dimension(first.dimension, second.dimension)
    if first.per != second.per:
        raise EquationError(f"{_spent(first)} and {_spent(second)} cannot be added")
    if subtract:
        return Amount(first.low - second.high, first.high - second.low, dimension, first.per)
    return Amount(first.low + second.low, first.high + second.high, dimension, first.per)


def _spent(amount: Amount) -> str:
    return f"{amount.dimension} per {amount.per}" if amount.per else str(amount.dimension)


def _changed_by(amount: Amount, share: Amount, *, subtract: bool) -> Amount:
    """A percentage added to what is none is one of it: "24 GB + 20 %" is 28.8 GB, "1 - 60 %" is 0.4."""
    ends = (1 - share.high, 1 - share.low) if subtract else (1 + share.low, 1 + share.high)
    return replace(_product(amount, Amount(*ends, Dimension.NUMBER), amount.dimension), per=amount.per)


def _sum_dimension(first: Dimension, second: Dimension) -> Dimension:
    if first is second:
        return first
    if Dimension.SHARE in {first, second}:
        raise EquationError("a percentage is added to another quantity, and may or may not be a share of it")
    pure = {first, second} & PURE
    if not pure:
        raise EquationError(f"{first} and {second} cannot be added")
    # A count that stands beside bytes is a number of bytes ("(0.5B × 2) + 0.5GB").
    return next((dimension for dimension in (first, second) if dimension not in PURE), Dimension.COUNT)


def _multiply(first: Amount, second: Amount) -> Amount:
    if {first.dimension, second.dimension} == {Dimension.MONEY, Dimension.SECONDS}:
        rate, time = (first, second) if first.dimension is Dimension.MONEY else (second, first)
        return _spent_over(rate, time)
    if first.dimension not in PURE and second.dimension not in PURE:
        raise EquationError(f"{first.dimension} times {second.dimension} is not a quantity that is checked")
    if first.dimension in PURE and second.dimension in PURE:
        # A share of a share stays one; "80 % of 400" and "7B × 2" are plain once multiplied.
        both = {first.dimension, second.dimension}
        alike: Dimension = Dimension.SHARE if both == {Dimension.SHARE} else Dimension.NUMBER
        dimension = Dimension.COUNT if Dimension.COUNT in both else alike
    else:
        dimension = second.dimension if first.dimension in PURE else first.dimension
    # "$4/hour × 30" stays a rate: "= $120/hour" for 30 machines, "= $120" for 30 hours.
    return replace(_product(first, second, dimension), per=first.per or second.per)


def _spent_over(rate: Amount, time: Amount) -> Amount:
    """Money per time, over a time: "$2/hour × 10 hours"."""
    seconds = RATE_SECONDS.get(rate.per or "")
    if seconds is None:
        raise EquationError(f"{_spent(rate)} times {time.dimension} is not a quantity that is checked")
    return _product(rate, Amount(time.low / seconds, time.high / seconds, Dimension.NUMBER), Dimension.MONEY)


def _divide(first: Amount, second: Amount) -> Amount:
    if first.dimension is Dimension.MONEY and second.dimension is Dimension.SECONDS and first.per is None:
        hours = RATE_SECONDS["hour"]
        by = Amount(second.low / hours, second.high / hours, Dimension.NUMBER)
        return replace(_product(first, _inverse(by), Dimension.MONEY), per="hour")
    if second.per is not None and second.per != first.per:
        return _time_bought(first, second)
    if second.dimension not in PURE and first.dimension is not second.dimension:
        raise EquationError(f"{first.dimension} divided by {second.dimension} is not a quantity that is checked")
    same = first.dimension is second.dimension
    quotient = _product(first, _inverse(second), Dimension.NUMBER if same else first.dimension)
    return quotient if same else replace(quotient, per=first.per)


def _time_bought(money: Amount, rate: Amount) -> Amount:
    """How long an amount of money lasts: "$120 / $4/hour"."""
    seconds = RATE_SECONDS.get(rate.per or "")
    if seconds is None or money.dimension is not Dimension.MONEY or money.per is not None:
        raise EquationError(f"{_spent(money)} divided by {_spent(rate)} is not a quantity that is checked")
    lasts = _product(money, _inverse(rate), Dimension.NUMBER)
    return Amount(lasts.low * seconds, lasts.high * seconds, Dimension.SECONDS)


def _product(first: Amount, second: Amount, dimension: Dimension) -> Amount:
    ends = [a * b for a in (first.low, first.high) for b in (second.low, second.high)]
    if max(end.numerator.bit_length() + end.denominator.bit_length() for end in ends) > MAX_BITS:
        raise EquationError("a number grows beyond any that documents print")
    return Amount(min(ends), max(ends), dimension)


def _inverse(amount: Amount) -> Amount:
    if amount.low <= 0 <= amount.high:
        raise EquationError("it divides by zero")
    return Amount(1 / amount.high, 1 / amount.low, amount.dimension, amount.per)


def _power(base: Amount, exponent: int) -> Amount:
    result = Amount(Fraction(1), Fraction(1), Dimension.NUMBER)
    factor = base if exponent >= 0 else _inverse(base)
    for _ in range(abs(exponent)):
        result = _multiply(result, factor)
    return result
