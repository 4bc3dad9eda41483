"""A measurement beside an estimate and a trace: what differs by more than is allowed is said, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.memory.measure.jobs import job, outcome
from toolkit.evidence.evidence import EvidenceKind
from toolkit.evidence.record import Record
from toolkit.memory.estimate import Estimate, estimate
from toolkit.memory.ledger import Category
from toolkit.memory.measure.compare import compare
from toolkit.memory.measure.records import record_of

BLOCK = 512


def computed() -> Estimate:
    one = job()
    return estimate(one.setting, one.facts)


def measured(*, allocated: int, rows: dict[str, tuple[int, int]] | None = None) -> Record:
    counted = {name: {"bytes": size, "storages": count} for name, (size, count) in (rows or {}).items()}
    record = record_of(job(), outcome(allocated=allocated, rows=counted))
    assert record is not None
    return record


def traced(like: Record, *, blocks: tuple[int, int], **categories: int) -> Record:
    phase: dict[str, Any] = {"phase": "optimizer_step", "total": blocks[1], "categories": categories, "rows": []}
    peak = {**like.peak, "blocks": list(blocks), "allocated": blocks[0]}
    return replace(like, kind=EvidenceKind.TRACED, peak=peak, phases=(phase,))


@pytest.mark.parametrize(
    ("off", "fails"), [(0.0, False), (0.029, False), (0.031, True), (-0.029, False), (-0.032, True)]
)
def test_a_computed_peak_may_be_three_percent_off(off: float, fails: bool) -> None:
    known = computed()
    found = compare(measured(allocated=round(known.allocated / (1 + off))), known, None)
    assert bool(found.failures) is fails
    assert ("allowed 3.0%" in "".join(found.failures)) is fails


@pytest.mark.parametrize(("blocks", "fails"), [((995_100, 995_100), False), ((1_005_100, 1_009_000), True)])
def test_a_traced_peak_may_be_half_a_percent_off(blocks: tuple[int, int], fails: bool) -> None:
    record = measured(allocated=1_000_000)
    assert bool(compare(record, None, traced(record, blocks=blocks)).failures) is fails


def test_what_lies_between_the_ends_of_a_trace_agrees() -> None:
    record = measured(allocated=1_000_000)
    assert not compare(record, None, traced(record, blocks=(900_000, 1_100_000))).failures


def test_a_trace_of_other_libraries_is_shown_and_not_judged() -> None:
    record = measured(allocated=1_000_000, rows={"weights": (512_000, 4)})
    other = replace(traced(record, blocks=(2_000_000, 2_000_000), weights=1), libraries={"torch": "2.13.0"})
    found = compare(record, None, other)
    assert not found.failures
    assert found.lines[0].traced == 2_000_000


def test_an_exact_row_is_the_same_as_the_trace_to_the_byte() -> None:
    record = measured(allocated=1_000_000, rows={"weights": (512_000, 4), "gradients": (256_000, 2)})
    found = compare(record, None, traced(record, blocks=(1_000_000,) * 2, weights=512_000, gradients=255_488))
    assert found.failures == ("gradients: traced 255,488 bytes, counted 256,000: exact rows are the same",)


def test_an_exact_row_is_computed_but_for_the_rounding_of_each_tensor() -> None:
    known = computed()
    weights = known.ledger.phases[-1].of(Category.WEIGHTS)
    tensors = 10
    for more, fails in (
        (0, False),
        (BLOCK * tensors, False),
        (BLOCK * tensors + 1, True),
        (-BLOCK * tensors - 1, True),
    ):
        record = measured(allocated=known.allocated, rows={"weights": (weights + more, tensors)})
        assert bool(compare(record, known, None).failures) is fails
