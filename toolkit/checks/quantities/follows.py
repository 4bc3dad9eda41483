"""Judges a figure by a formula over other printed figures, as a cost by a price and a time.

A price of 1.50 to 2.00 dollars an hour gives a range of costs. A claim agrees if it admits the whole range, disagrees
if it admits nothing of it, and depends otherwise.
"""

from __future__ import annotations

from toolkit.checks.case import Case, comparable, malformed
from toolkit.checks.equation.evaluate import Amount, evaluate, is_sum, unit_size, values_in
from toolkit.checks.equation.parse import EquationError, Expression, parse_expression
from toolkit.checks.judgement import BEST_FIRST, Outcome, Verdict
from toolkit.evidence.evidence import Evidence, EvidenceKind
from toolkit.quantity import Reading, display_interval
from toolkit.quantity.value import Dimension, Value


def judge_stated(case: Case, dimension: Dimension, noun: str, reason: str) -> Outcome:
    """Judges a figure by the claim's formula over printed figures; without one it is read and stays unchecked."""
    value = case.value(dimension)
    if value is None:
        return malformed(noun, case)
    if case.claim.formula is None:
        return Outcome(Verdict.UNCHECKED, reason, case.claimed(value))
    try:
        outcomes = [_under(case, value, case.claim.formula, reading) for reading in case.readings]
    except EquationError as error:
        return malformed(f"{noun} whose formula can be evaluated ({error})", case)
    return min(outcomes, key=lambda outcome: BEST_FIRST.index(outcome.verdict))


def _under(case: Case, value: Value, formula: str, reading: Reading) -> Outcome:
    """The verdict under one reading of GB. Raises EquationError."""
    expression = parse_expression(formula)
    # As in printed arithmetic: terms of a sum were each rounded before they were added, and hedged ones say so.
    loose = is_sum(expression) or any(term.hedge for term in values_in(expression, case.values()))
    exact, rounded = (_amount(case, expression, value, reading, rounded=each) for each in (False, loose))
    size = unit_size(value.unit, reading)
    claimed = value.written.scaled(size)
    unit = value.unit.dimension
    truth = display_interval(exact.interval, unit, reading)
    fact = f"the printed figures give {truth}"
    evidence = (Evidence(EvidenceKind.EXACT, exact.interval, facts=(fact,)),)
    if not claimed.meets(rounded.interval):
        return Outcome(Verdict.DISAGREES, fact, case.claimed(value), evidence, repair=f"print {truth}")
    if exact.low == exact.high or (exact.low in claimed and exact.high in claimed):
        return Outcome(Verdict.AGREES, fact, case.claimed(value), evidence)
    ends = (exact.low in claimed, exact.high in claimed)
    where = {(True, False): "at the low end", (False, True): "at the high end"}.get(ends, "in the middle")
    boundary = f"true {where} of {truth}"
    return Outcome(Verdict.DEPENDS, fact, case.claimed(value), evidence, boundary, f"print {truth}")


def _amount(case: Case, expression: Expression, value: Value, reading: Reading, *, rounded: bool) -> Amount:
    amount = evaluate(expression, reading, case.values(), rounded=rounded).per_unit(value.unit)
    if not comparable(amount.dimension, value.unit.dimension):
        raise EquationError(f"it gives {amount.dimension}, not {value.unit.dimension}")
    return amount
