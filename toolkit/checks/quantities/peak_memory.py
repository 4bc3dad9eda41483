"""The most memory that is needed at once: on the device, unless the document speaks of tensors or of the allocator."""

from __future__ import annotations

from fractions import Fraction
from functools import cache

from toolkit.checks.case import Case
from toolkit.checks.judgement import Outcome
from toolkit.checks.quantities.memory_claim import judge_memory
from toolkit.checks.quantities.memory_quantity import MemoryQuantity, point
from toolkit.checks.situations.situation import Situation, all_moved
from toolkit.facts.accuracy import known_error
from toolkit.memory.device import device_interval as device_interval_of
from toolkit.memory.estimate import Estimate, Holdings
from toolkit.memory.ledger import Category, PhaseName
from toolkit.quantity import display_bytes
from toolkit.quantity.interval import Interval
from toolkit.spec.fields.peft_methods import column_of

LARGEST_ROWS = 3
WELL_KNOWN = ("none", "ddp", "fsdp")
"""Parallel strategies whose peaks were compared with as many readings as those of one GPU."""


def judge_peak_memory(case: Case) -> Outcome:
    """Judges a claim about the peak, in the metric that the claim is about."""
    metric = case.claim.metric or "device"
    return judge_memory(case, AT_LOAD[metric]) if at_load(case) else judge_memory(case, METRICS[metric])


def at_load(case: Case) -> bool:
    """Whether the claim is about the model once loaded, before anything is run: `subject: {phase: load}`."""
    return case.claim.subject.get("phase") == PhaseName.LOAD


def peak_error(estimate: Estimate) -> Fraction:
    """The known relative error of a computed peak of this method, or of an engine that claims a share of the card.

    Parallel strategies with few readings have an error of their own.
    """
    parallel = estimate.setting.parallel
    if parallel.strategy not in WELL_KNOWN or parallel.tensor_parallel > 1:
        return known_error("computed", "peak_several")
    pooled = any(phase.of(Category.ENGINE_POOL) for phase in estimate.phases)
    return known_error("computed", "peak_engine" if pooled else f"peak_{column_of(estimate.setting.method)}")


def peak_floor(estimate: Estimate) -> Fraction:
    """The bytes that a peak is never below: those held between steps, known as well as weights are."""
    return estimate.steady * _known_of_weights()


@cache
def _known_of_weights() -> Fraction:
    return 1 - known_error("computed", "weights")


def device_interval(estimate: Estimate) -> Interval:
    """The device memory at the peak, in bytes."""
    low, high = estimate.device
    return Interval.between(low, high)


def peak_fact(estimate: Estimate) -> str:
    """The phase of the peak and its largest rows."""
    peak = estimate.ledger.peak
    largest = sorted(peak.rows, key=lambda row: -row.bytes)[:LARGEST_ROWS]
    rows = ", ".join(f"{row.name} {display_bytes(row.bytes, 'binary')}" for row in largest)
    return f"peak at {peak.name.replace('_', ' ')}: {rows}"


def loaded_interval(held: Holdings) -> Interval:
    """The device memory once the model is loaded, in bytes: the weights and the CUDA context."""
    setting, loaded = held.setting, _loaded(held)
    low, high = device_interval_of((loaded, loaded), setting.gpu, setting.parallel, setting.stack.versions)
    return Interval.between(low, high)


def loaded_fact(held: Holdings) -> str:
    """The memory of the loaded model, in words."""
    return f"loaded and not run: weights {display_bytes(_loaded(held), 'binary')}"


def load_error(_held: Holdings) -> Fraction:
    """The known relative error of computed weights."""
    return known_error("computed", "weights")


def _loaded(held: Holdings) -> int:
    return held.phases[0].total


def _reserved(estimate: Estimate) -> Interval:
    low, high = estimate.reserved
    return Interval.between(low, high)


def _allocated(estimate: Estimate) -> Interval:
    return point(estimate.allocated)


METRICS = {
    name: MemoryQuantity(
        "peak_memory", Situation.estimate, of, frozenset(all_moved()), peak_error, peak_fact, name, peak_floor
    )
    for name, of in (("device", device_interval), ("reserved", _reserved), ("allocated", _allocated))
}

AT_LOAD = {
    name: MemoryQuantity(
        "peak_memory", Situation.holdings, of, frozenset(all_moved()), load_error, loaded_fact, f"{name} at load"
    )
    for name, of in (
        ("device", loaded_interval),
        ("reserved", lambda held: point(_loaded(held))),
        ("allocated", lambda held: point(_loaded(held))),
    )
}
