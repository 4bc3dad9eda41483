"""Arithmetic in the text: do the printed numbers give the printed result?"""

from __future__ import annotations

from dataclasses import replace

from toolkit.checks.case import Case, malformed
from toolkit.checks.equation.evaluate import PURE, Amount, evaluate, is_sum, unit_size, values_in
from toolkit.checks.equation.parse import EquationError, Expression, Number, parse_equation, parse_expression
from toolkit.checks.judgement import Claimed, Outcome, Verdict
from toolkit.evidence.evidence import Evidence, EvidenceKind
from toolkit.quantity import display_interval, parse_value
from toolkit.quantity.interval import Interval
from toolkit.quantity.value import Dimension, Unit, Value


def judge_arithmetic(case: Case) -> Outcome:
    """Judges an equation in the text, or a printed result against the spec's formula over bound values."""
    try:
        if case.claim.formula is None:
            return _equation(case)
        return _formula(case, case.claim.formula)
    except EquationError as error:
        return malformed(f"arithmetic that can be evaluated ({error})", case)


def _equation(case: Case) -> Outcome:
    sides = parse_equation(case.text)
    outcomes = [_side(case, left, right) for left, right in zip(sides, sides[1:], strict=False)]
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
    # Terms of a printed sum were each rounded before they were added, and hedged terms say so themselves.
    loose = is_sum(left) or any(value.hedge for value in values_in(left, case.values()))
    unit = result.unit if result else None
    agrees = within_rounding = False
    for reading, amount in amounts.items():
        targets = _targets(right, case, reading)
        agrees |= any(_same(candidate, target) for candidate in _candidates(amount, unit, reading) for target in targets)
        if loose:
            wide = evaluate(left, reading, case.values(), rounded=True)
            pairs = zip(_candidates(amount, unit, reading), _candidates(wide, unit, reading), strict=True)
            within_rounding |= any(_meets(exact, rounded, target) for exact, rounded in pairs for target in targets)
    reading = case.readings[0]
    shown = _candidates(amounts[reading], unit, reading)[-1]
    return _outcome(case, result, shown, exactly=agrees, rounded=within_rounding)


def _outcome(case: Case, result: Value | None, amount: Amount, *, exactly: bool, rounded: bool) -> Outcome:
    truth = display_interval(amount.interval, amount.dimension, case.readings[0])
    claimed = case.claimed(result) if result else Claimed(case.text)
    evidence = (Evidence(EvidenceKind.EXACT, amount.interval, facts=(f"the printed numbers give {truth}",)),)
    if exactly:
        return Outcome(Verdict.AGREES, f"the printed numbers give {truth}", claimed, evidence)
    if rounded:
        reason = f"the printed numbers give {truth}; within the rounding of the terms"
        return Outcome(Verdict.AGREES, reason, claimed, evidence)
    return Outcome(Verdict.DISAGREES, f"the printed numbers give {truth}", claimed, evidence, repair=f"print {truth}")


def _candidates(amount: Amount, unit: Unit | None, reading: str) -> list[Amount]:
    """How the left side may be read beside the right side's unit.

    "28 + 28 = 56 GB" takes the unit. "320 / 400 = 80 %" does not, "75 - 69 = 6 %" does: with a pure unit both are tried.
    """
    if unit is None or amount.dimension is not Dimension.NUMBER:
        return [amount]
    scaled = amount.in_unit(unit, reading)
    return [scaled, replace(amount, dimension=unit.dimension)] if unit.dimension in PURE else [scaled]


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
    bottom = Interval(wide.low, 2 * exact.low - wide.low)
    top = Interval(2 * exact.high - wide.high, wide.high)
    return _comparable(exact, dimension) and bottom.meets(low) and top.meets(high)
