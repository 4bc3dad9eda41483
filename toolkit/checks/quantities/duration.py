"""Time that something takes: what follows from the printed times of its parts; else only a measurement shows it."""

from __future__ import annotations

from toolkit.checks.case import Case
from toolkit.checks.judgement import Outcome
from toolkit.checks.quantities.follows import judge_stated
from toolkit.quantity.value import Dimension

REASON = "no time of this run, or of one step of it, is on record"


def judge_duration(case: Case) -> Outcome:
    """Judges a time by the times of its parts, or of one step, that the claim's formula names; else unchecked."""
    return judge_stated(case, Dimension.SECONDS, "length of time", REASON)
