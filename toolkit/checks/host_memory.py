"""Main memory of a machine, or what a run needs of it."""

from __future__ import annotations

from toolkit.checks.case import Case, malformed
from toolkit.checks.judgement import Outcome, Verdict
from toolkit.quantity.value import Dimension

REASON = "what a machine has, or a process takes, of main memory is not recorded for this run"


def judge_host_memory(case: Case) -> Outcome:
    """Reads the figure, so that a broken one is noticed, and says why nothing here can check it."""
    value = case.value(Dimension.BYTES)
    if value is None:
        return malformed("amount of memory", case)
    return Outcome(Verdict.UNCHECKED, REASON, case.claimed(value))
