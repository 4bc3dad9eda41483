"""How much faster one thing is than another: shown by measuring both."""

from __future__ import annotations

from toolkit.checks.case import Case, malformed
from toolkit.checks.judgement import Outcome, Verdict
from toolkit.quantity.value import Dimension

REASON = "no measurement of the two is on record"


def judge_speed_ratio(case: Case) -> Outcome:
    """Reads the figure, so that a broken one is noticed, and says why nothing here can check it."""
    value = case.value(Dimension.RATIO)
    if value is None:
        return malformed("ratio", case)
    return Outcome(Verdict.UNCHECKED, REASON, case.claimed(value))
