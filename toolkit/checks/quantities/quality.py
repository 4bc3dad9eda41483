"""How good a model is: recall, accuracy, perplexity. Not memory, and nothing that a config shows."""

from __future__ import annotations

from toolkit.checks.case import Case
from toolkit.checks.judgement import Claimed, Outcome, Verdict

REASON = "needs the trained model and its test data, which no config shows"


def judge_quality(case: Case) -> Outcome:
    """Says why nothing here can check it."""
    return Outcome(Verdict.UNCHECKED, REASON, Claimed(case.text))
