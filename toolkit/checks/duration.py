"""Time that something takes: nothing but a measurement of that very run shows it."""

from __future__ import annotations

from toolkit.checks.case import Case, malformed
from toolkit.checks.judgement import Outcome, Verdict
from toolkit.quantity.value import Dimension

REASON = "no time of this run, or of one step of it, is on record"


def judge_duration(case: Case) -> Outcome:
    """Reads the figure, so that a broken one is noticed, and says why nothing here can check it."""
    value = case.value(Dimension.SECONDS)
    if value is None:
        return malformed("length of time", case)
    return Outcome(Verdict.UNCHECKED, REASON, case.claimed(value))
