"""Money that something takes: prices change by the day and by the seller."""

from __future__ import annotations

from toolkit.checks.case import Case, malformed
from toolkit.checks.judgement import Outcome, Verdict
from toolkit.quantity.value import Dimension

REASON = "no price is among the facts"


def judge_cost(case: Case) -> Outcome:
    """Reads the figure, so that a broken one is noticed, and says why nothing here can check it."""
    value = case.value(Dimension.MONEY)
    if value is None:
        return malformed("amount of money", case)
    return Outcome(Verdict.UNCHECKED, REASON, case.claimed(value))
