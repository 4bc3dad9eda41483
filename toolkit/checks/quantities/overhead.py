"""Memory beyond tensors: the CUDA context, BLAS workspaces, and what the allocator holds unused."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from toolkit.checks.case import Case
from toolkit.checks.judgement import Outcome, Verdict
from toolkit.checks.quantities.memory_claim import judge_memory
from toolkit.checks.quantities.memory_quantity import MemoryQuantity
from toolkit.checks.situations.situation import Situation, all_moved
from toolkit.facts.accuracy import known_error
from toolkit.memory.estimate import Estimate
from toolkit.memory.ledger import Category
from toolkit.quantity import exact_value, parse_value
from toolkit.quantity.interval import Interval
from toolkit.quantity.value import Dimension

DECISIVE = 2
"""Bounds that differ by more than this factor confirm no figure between them."""


def judge_overhead(case: Case) -> Outcome:
    """Judges a claim about the overhead.

    How much the allocator holds unused is known between wide bounds only. A claim beyond them is wrong; one within them
    is neither confirmed nor denied, and unchecked. `subject: {beyond: 2 bytes}` is what guides add to "parameters × 2
    bytes", cache and activations included; where batch and length decide whether that is false, it depends on them.
    """
    per_parameter = case.claim.subject.get("beyond")
    if per_parameter is None:
        return _within_bounds(case, judge_memory(case, QUANTITY))
    size = parse_value(case.referred(str(per_parameter)), Dimension.BYTES)
    bytes_each = exact_value(size) if size else None
    if size is None or bytes_each is None:
        return Outcome(Verdict.UNCHECKED, f"{per_parameter!r} is not a number of bytes for each parameter")
    outcome = judge_memory(case, beyond(bytes_each * size.unit.readings[0][1]))
    return outcome if outcome.verdict is Verdict.DEPENDS else _within_bounds(case, outcome)


def _within_bounds(case: Case, outcome: Outcome) -> Outcome:
    """The outcome, or unchecked where it would confirm a figure between bounds that are too wide."""
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


def beyond(bytes_each: Fraction) -> MemoryQuantity[Estimate]:
    """The device memory at the peak beyond `bytes_each` bytes for each parameter of the model."""

    def of(estimate: Estimate) -> Interval:
        counted = estimate.parameters_total * bytes_each
        low, high = estimate.device
        return Interval(low - counted, high - counted)

    def fact(estimate: Estimate) -> str:
        return f"beyond {float(bytes_each):g} bytes for each of {estimate.parameters_total:,} parameters"

    moved = frozenset(all_moved())
    return MemoryQuantity("overhead", Situation.estimate, of, moved, _error, fact, f"beyond {bytes_each}")


def _of(estimate: Estimate) -> Interval:
    peak = estimate.peak
    workspace = peak.of(Category.WORKSPACE)
    low, high = (end - peak.total + workspace for end in estimate.device)
    return Interval.between(low, high)


def _fact(estimate: Estimate) -> str:
    gpu = estimate.setting.gpu or "any GPU"
    return f"CUDA context of {gpu}, BLAS workspaces, and at most what the allocator may hold unused"


def _error(_estimate: Estimate) -> Fraction:
    return known_error("computed", "overhead")


QUANTITY = MemoryQuantity("overhead", Situation.estimate, _of, frozenset(all_moved()), _error, _fact)
