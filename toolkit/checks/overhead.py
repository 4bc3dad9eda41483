"""Memory beyond tensors: the CUDA context, BLAS workspaces, and what the allocator holds unused."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from toolkit.checks.case import Case
from toolkit.checks.judgement import Outcome, Verdict
from toolkit.checks.memory_claim import MemoryQuantity, judge_memory
from toolkit.checks.situation import Situation, all_moved
from toolkit.facts.accuracy import known_error
from toolkit.memory.estimate import Estimate
from toolkit.memory.ledger import Category
from toolkit.quantity.interval import Interval
from toolkit.quantity.value import Dimension

DECISIVE = 2
"""Bounds that lie further apart than by this factor confirm no figure between them."""


def judge_overhead(case: Case) -> Outcome:
    """Judges a claim about the overhead.

    How much the allocator holds unused is known between wide bounds only. A claim beyond them is wrong; one within them
    is neither confirmed nor denied, and unchecked.
    """
    outcome = judge_memory(case, QUANTITY)
    if outcome.verdict is Verdict.DISAGREES or not outcome.evidence or case.value(Dimension.BYTES) is None:
        return outcome
    known = outcome.evidence[0].value
    if known.low is None or known.high is None or known.high <= DECISIVE * known.low:
        return outcome
    claimed = outcome.claimed.readings.values() if outcome.claimed else ()
    if any(known.low in interval and known.high in interval for interval in claimed):
        return outcome
    reason = f"{outcome.reason}; bounds so wide neither confirm nor deny it"
    return replace(outcome, verdict=Verdict.UNCHECKED, reason=reason, boundary=None, repair=None)


def _of(estimate: Estimate) -> Interval:
    peak = estimate.ledger.peak
    workspace = peak.of(Category.WORKSPACE)
    low, high = (end - peak.total + workspace for end in estimate.device)
    return Interval(Fraction(low), Fraction(high))


def _fact(estimate: Estimate) -> str:
    gpu = estimate.setting.gpu or "any GPU"
    return f"CUDA context of {gpu}, BLAS workspaces, and at most what the allocator may hold unused"


def _error(_estimate: Estimate) -> Fraction:
    return known_error("computed", "overhead")


QUANTITY = MemoryQuantity("overhead", Situation.estimate, _of, frozenset(all_moved()), _error, _fact)
