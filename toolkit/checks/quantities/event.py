"""Something that happened once, on one machine: a run that started, a file that was written, a day."""

from __future__ import annotations

from toolkit.checks.case import Case
from toolkit.checks.judgement import Claimed, Outcome, Verdict

REASON = "an event of which no record is at hand"


def judge_event(case: Case) -> Outcome:
    """Says why nothing here can check it."""
    return Outcome(Verdict.UNCHECKED, REASON, Claimed(case.text))
