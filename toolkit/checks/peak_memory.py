"""The most memory that is needed at once: on the device, unless the document speaks of tensors or of the allocator."""

from __future__ import annotations

from fractions import Fraction

from toolkit.checks.case import Case
from toolkit.checks.judgement import Outcome
from toolkit.checks.memory_claim import MemoryQuantity, judge_memory, point
from toolkit.checks.situation import all_moved
from toolkit.facts.accuracy import known_error
from toolkit.memory.estimate import Estimate
from toolkit.quantity import display_bytes
from toolkit.quantity.interval import Interval

LARGEST_ROWS = 3


def judge_peak_memory(case: Case) -> Outcome:
    """Judges a claim about the peak, in the metric that the claim is about."""
    return judge_memory(case, METRICS[case.claim.metric or "device"])


def peak_error(estimate: Estimate) -> Fraction:
    """The known relative error of a computed peak of this method."""
    return known_error("computed", f"peak_{estimate.setting.method}")


def device_interval(estimate: Estimate) -> Interval:
    """What the card shows at the peak, in bytes."""
    low, high = estimate.device
    return Interval(Fraction(low), Fraction(high))


def peak_fact(estimate: Estimate) -> str:
    """The phase of the peak and its largest rows."""
    peak = estimate.ledger.peak
    largest = sorted(peak.rows, key=lambda row: -row.bytes)[:LARGEST_ROWS]
    rows = ", ".join(f"{row.name} {display_bytes(row.bytes, 'binary')}" for row in largest)
    return f"peak at {peak.name.replace('_', ' ')}: {rows}"


def _reserved(estimate: Estimate) -> Interval:
    low, high = estimate.reserved
    return Interval(Fraction(low), Fraction(high))


def _allocated(estimate: Estimate) -> Interval:
    return point(estimate.allocated)


METRICS = {
    name: MemoryQuantity("peak_memory", of, frozenset(all_moved()), peak_error, peak_fact)
    for name, of in (("device", device_interval), ("reserved", _reserved), ("allocated", _allocated))
}
