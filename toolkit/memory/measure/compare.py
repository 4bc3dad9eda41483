"""A measurement held against what was computed and traced of the same setting."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from fractions import Fraction

from toolkit.evidence.record import Record
from toolkit.frozen import frozen
from toolkit.memory.allocator.caching import MIN_BLOCK
from toolkit.memory.estimate import Estimate
from toolkit.memory.ledger import Category, Ledger, PhaseName

COMPUTED = Fraction(3, 100)
TRACED = Fraction(5, 1000)
"""What a computed and a traced peak may differ from the measured one."""

EXACT = (Category.WEIGHTS, Category.ADAPTERS, Category.GRADIENTS, Category.OPTIMIZER_STATES)
"""Rows that follow from shapes and dtypes, and were counted tensor by tensor."""


@frozen
class Line:
    """One amount in bytes by every depth of evidence; None where one does not know it. `exact` names a row."""

    name: str
    computed: int | None
    traced: int | None
    measured: int
    exact: bool = False


@frozen
class Comparison:
    """The amounts side by side, and what lies outside its tolerance, as sentences."""

    lines: tuple[Line, ...]
    failures: tuple[str, ...] = field(default=())


def compare(record: Record, computed: Estimate | None, traced: Record | None) -> Comparison:
    """Holds a measurement against an estimate and a trace; what there is none of is left out.

    A trace made with other libraries than the measurement is shown, and not judged.
    """
    lines = [*_peaks(record, computed, traced), *_rows(record, computed, traced)]
    same_stack = traced is not None and dict(traced.libraries) == dict(record.libraries)
    failures = [failure for line in lines for failure in _failures(line, record, same_stack=same_stack)]
    return Comparison(tuple(lines), tuple(failures))


def _peaks(record: Record, computed: Estimate | None, traced: Record | None) -> Iterator[Line]:
    yield Line(
        "peak allocated",
        computed.allocated if computed else None,
        _nearest(traced.peak["blocks"], record.peak["allocated"]) if traced else None,
        record.peak["allocated"],
    )
    theirs = {phase["phase"]: phase["total"] for phase in traced.phases} if traced else {}
    for phase in record.phases:
        name = phase["phase"]
        ours = computed.ledger.phase(PhaseName(name)) if computed else None
        yield Line(f"in {name.replace('_', ' ')}", ours.total if ours else None, theirs.get(name), phase["total"])


def _rows(record: Record, computed: Estimate | None, traced: Record | None) -> Iterator[Line]:
    for category, row in _counted(record).items():
        if category not in EXACT:
            continue
        ours = _most(computed.ledger, category) if computed else None
        yield Line(category.value, ours, _traced_row(traced, category) if traced else None, row, exact=True)


def _failures(line: Line, record: Record, *, same_stack: bool) -> Iterator[str]:
    if line.exact:
        yield from _exact_failures(line, record, same_stack=same_stack)
    elif line.name == "peak allocated":
        for depth, value, allowed in (("computed", line.computed, COMPUTED), ("traced", line.traced, TRACED)):
            if value is None or (depth == "traced" and not same_stack):
                continue
            gap = Fraction(value - line.measured, line.measured)
            if abs(gap) > allowed:
                yield (
                    f"{line.name}: {depth} {value:,} bytes, measured {line.measured:,}: "
                    f"{float(gap):+.2%}, allowed {float(allowed):.1%}"
                )


def _exact_failures(line: Line, record: Record, *, same_stack: bool) -> Iterator[str]:
    """A traced row is the same to the byte; a computed one leaves out only what rounds each tensor up to a block."""
    slack = MIN_BLOCK * _storages(record).get(Category(line.name), 0)
    if line.traced is not None and same_stack and line.traced != line.measured:
        yield f"{line.name}: traced {line.traced:,} bytes, counted {line.measured:,}: exact rows are the same"
    if line.computed is not None and abs(line.measured - line.computed) > slack:
        yield (
            f"{line.name}: computed {line.computed:,} bytes, counted {line.measured:,}: "
            f"more apart than blocks of {MIN_BLOCK} bytes make it ({slack:,})"
        )


def _counted(record: Record) -> Mapping[Category, int]:
    return {Category(row["category"]): int(row["bytes"]) for row in record.phases[-1]["rows"]}


def _storages(record: Record) -> Mapping[Category, int]:
    return {Category(row["category"]): int(row["storages"].split()[0]) for row in record.phases[-1]["rows"]}


def _most(ledger: Ledger, category: Category) -> int:
    """A row where all of it is there: at the last phase, as the measured one was counted."""
    return ledger.phases[-1].of(category)


def _traced_row(traced: Record, category: Category) -> int:
    return int(traced.phases[-1]["categories"].get(category.value, 0))


def _nearest(ends: list[int], to: int) -> int:
    """The point of an interval that lies nearest: how a model was loaded moves whole blocks."""
    return min(max(ends[0], to), ends[1])
