"""Arithmetic in the text: whether the printed numbers give the printed result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

from toolkit.checks.case import Case, malformed
from toolkit.checks.equation.evaluate import PURE, Amount, evaluate, unit_size
from toolkit.checks.equation.parse import (
    Binary,
    EquationError,
    Expression,
    Number,
    parse_equation,
    parse_expression,
)
from toolkit.checks.equation.rounding import ends, firm, overlap
from toolkit.checks.judgement import Claimed, Outcome, Verdict
from toolkit.evidence.evidence import Evidence, EvidenceKind
from toolkit.quantity import Reading, display_interval, parse_value
from toolkit.quantity.interval import Interval
from toolkit.quantity.value import Dimension, Unit, Value


def judge_arithmetic(case: Case) -> Outcome:
    """Judges an equation in the text, or a printed result against the spec's formula over bound values.

    `subject: {terms: printed}` says that the statement compares the figures as they stand beside it ("5 GB more: 14 GB
    against 10 GB"), so that they were not rounded on the way to its result.
    """
    try:
        if case.claim.formula is None:
            return _equation(case)
        return _formula(case, case.claim.formula)
    except EquationError as error:
        return malformed(f"arithmetic that can be evaluated ({error})", case)


def arithmetic_agrees(case: Case) -> bool:
    """Whether the claim holds: what shows which GB a document means."""
    return judge_arithmetic(case).verdict is Verdict.AGREES


def _equation(case: Case) -> Outcome:
    outcome = _chain(case, parse_equation(case.text))
    if outcome.verdict is Verdict.AGREES:
        return outcome
    # "1 - 60 % = 40 %" looks like a range from 1 to 60 %; where that is wrong, it may be a difference.
    try:
        difference = _chain(case, parse_equation(case.text, minus=True))
    except EquationError:
        return outcome
    return difference if difference.verdict is Verdict.AGREES else outcome


def _chain(case: Case, sides: Sequence[Expression]) -> Outcome:
    outcomes = [_side(case, left, right) for left, right in pairwise(sides)]
    return next((outcome for outcome in outcomes if outcome.verdict is Verdict.DISAGREES), outcomes[-1])


def _formula(case: Case, formula: str) -> Outcome:
    result = parse_value(case.text)
    if result is None:
        return malformed("number", case)
    return _side(case, parse_expression(formula), Number(result))


def _side(case: Case, left: Expression, right: Expression) -> Outcome:
    """The verdict on one "left = right", under any reading of GB that the document admits."""
    result = right.value if isinstance(right, Number) else None
    amounts = {reading: evaluate(left, reading, case.values()) for reading in case.readings}
    loose = case.claim.subject.get("terms") != "printed"
    firmly = firm(left, right, case.values())
    unit = result.unit if result else None
    divisor = _divisor(left, case)
    exactly: list[tuple[Reading, Amount]] = []
    rounded: list[tuple[Reading, Amount]] = []
    for reading, amount in amounts.items():
        targets = _targets(right, case, reading)
        candidates = _candidates(amount, unit, reading, divisor)
        exactly += [(reading, one) for one in candidates if any(_same(one, target) for target in targets)]
        if loose:
            widest = evaluate(firmly, reading, rounded=True)
            pairs = zip(candidates, _candidates(widest, unit, reading, divisor), strict=True)
            rounded += [(reading, one) for one, wide in pairs if any(_meets(one, wide, target) for target in targets)]
    reading = case.readings[0]
    plain = _candidates(amounts[reading], unit, reading, divisor)[-1]
    shown = (exactly or rounded or [(reading, plain)])[0]
    return _outcome(case, result, *shown, exactly=bool(exactly), rounded=bool(rounded))


def _outcome(
    case: Case, result: Value | None, reading: Reading, amount: Amount, *, exactly: bool, rounded: bool
) -> Outcome:
    shown: Reading = "binary" if "binary" in (reading, case.reading) else "decimal"
    truth = display_interval(amount.interval, amount.dimension, shown)
    claimed = case.claimed(result) if result else Claimed(case.text)
    evidence = (Evidence(EvidenceKind.EXACT, amount.interval, facts=(f"the printed numbers give {truth}",)),)
    if exactly:
        return Outcome(Verdict.AGREES, f"the printed numbers give {truth}", claimed, evidence)
    if rounded:
        reason = f"the printed numbers give {truth}; within the rounding of the terms"
        return Outcome(Verdict.AGREES, reason, claimed, evidence)
    return Outcome(Verdict.DISAGREES, f"the printed numbers give {truth}", claimed, evidence, repair=f"print {truth}")


def _divisor(left: Expression, case: Case) -> Fraction | None:
    """The plain number by which the left side is divided at its end: 2^30 in "bytes / 1024 / 1024^2"."""
    divisor = None
    while isinstance(left, Binary) and left.operator == "/":
        by = evaluate(left.right, case.readings[0], case.values())
        if by.dimension not in PURE or by.low != by.high:
            break
        divisor, left = by.low * (divisor or 1), left.left
    return divisor


def _candidates(amount: Amount, unit: Unit | None, reading: str, divisor: Fraction | None) -> list[Amount]:
    """How the left side may be read beside the right side's unit; the one to show is the last.

    "28 + 28 = 56 GB" takes the unit. "320 / 400 = 80 %" does not, "75 - 69 = 6 %" does: with a pure unit both
    are tried. "7B × 2 = 14 GB" counts bytes, and "14,000,000,000 bytes / 10^9 = 14 GB" divides by the unit.
    """
    if unit is None:
        return [amount]
    size = unit_size(unit, reading)
    amount = amount.per_unit(unit)
    scaled = Amount(amount.low * size, amount.high * size, unit.dimension)
    if amount.dimension is Dimension.NUMBER:
        return [scaled, replace(amount, dimension=unit.dimension)] if unit.dimension in PURE else [scaled]
    if not _counts_bytes(amount.dimension, unit.dimension) and amount.dimension is not unit.dimension:
        return [amount]
    plain = replace(amount, dimension=unit.dimension)
    return [plain, scaled] if divisor == size and unit.dimension is Dimension.BYTES else [plain]


def _counts_bytes(given: Dimension, printed: Dimension) -> bool:
    """Whether a plain number and bytes stand for each other: "7B × 2 = 14 GB", "7B × 2 bytes = 14,000,000,000"."""
    return (given, printed) in {(Dimension.COUNT, Dimension.BYTES), (Dimension.BYTES, Dimension.NUMBER)}


def _targets(right: Expression, case: Case, reading: str) -> list[tuple[Interval, Interval, Dimension]]:
    """The ends of the printed result, each with its own rounding."""
    if not isinstance(right, Number):
        amount = evaluate(right, reading, case.values(), rounded=True)
        return [(Interval.point(amount.low), Interval.point(amount.high), amount.dimension)]
    value = right.value
    size = unit_size(value.unit, reading)
    low, high = min(value.printed) * size, max(value.printed) * size
    bottom = low if value.written.low is None else value.written.low * size
    top = high if value.written.high is None else value.written.high * size
    if low == high:
        whole = value.written.scaled(size)
        return [(whole, whole, value.unit.dimension)]
    # Rounding is symmetric about each printed end, and the hull keeps its outer half.
    return [(Interval(bottom, 2 * low - bottom), Interval(2 * high - top, top), value.unit.dimension)]


def _comparable(amount: Amount, dimension: Dimension) -> bool:
    return amount.dimension is dimension or {amount.dimension, dimension} <= PURE


def _same(amount: Amount, target: tuple[Interval, Interval, Dimension]) -> bool:
    low, high, dimension = target
    if not _comparable(amount, dimension):
        return False
    if amount.low == amount.high and low != high:
        return amount.low in low.hull(high)
    return amount.low in low and amount.high in high


def _meets(exact: Amount, wide: Amount, target: tuple[Interval, Interval, Dimension]) -> bool:
    """Whether each end, give or take the rounding of the terms, meets the printed end."""
    low, high, dimension = target
    bottom, top = ends(exact, wide)
    return _comparable(exact, dimension) and overlap(bottom, low) and overlap(top, high)
