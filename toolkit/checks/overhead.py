"""Memory beyond tensors: the CUDA context, BLAS workspaces, and what the allocator holds unused."""

from __future__ import annotations

from fractions import Fraction

from toolkit.checks.case import Case
from toolkit.checks.judgement import Outcome
from toolkit.checks.memory_claim import MemoryQuantity, judge_memory
from toolkit.checks.situation import Situation, all_moved
from toolkit.facts.accuracy import known_error
from toolkit.memory.estimate import Estimate
from toolkit.memory.ledger import Category
from toolkit.quantity.interval import Interval


def judge_overhead(case: Case) -> Outcome:
    """Judges a claim about the overhead."""
    return judge_memory(case, QUANTITY)


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


QUANTITY = MemoryQuantity(
    "overhead", Situation.estimate, _of, frozenset(all_moved()), _error, _fact
)
