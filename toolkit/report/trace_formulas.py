"""A trace beside the formulas for the same run, category by category."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from toolkit.evidence.record import Record
from toolkit.memory.ledger import Category, Ledger
from toolkit.report.terminal import INDENT, line, table

TOTAL = "total"


def beside_text(record: Record, computed: Ledger) -> str:
    """A table of each phase by category: bytes traced, bytes computed, and the gap."""
    heads = ("phase", "category", "traced", "computed", "gap", "of the phase")
    rows = [heads, *(tuple(map(line, row)) for phase in record.phases for row in _rows(phase, computed))]
    return "\n".join(f"{INDENT}{text}" for text in table(rows, frozenset({2, 3, 4, 5}))) + "\n"


def _rows(phase: Mapping[str, Any], computed: Ledger) -> Iterator[tuple[str, ...]]:
    name = phase["phase"].replace("_", " ")
    other = next((one for one in computed.phases if one.name.value == phase["phase"]), None)
    if other is None:
        yield name, TOTAL, f"{phase['total']:,}", "none", "", ""
        return
    for kind in Category:
        seen, said = phase["categories"].get(kind.value, 0), other.of(kind)
        if seen or said:
            yield name, kind.value, *_gap(seen, said, phase["total"])
    yield name, TOTAL, *_gap(phase["total"], other.total, phase["total"])


def _gap(seen: int, said: int, total: int) -> tuple[str, str, str, str]:
    return f"{seen:,}", f"{said:,}", f"{said - seen:+,}", f"{(said - seen) / total:+.3%}" if total else ""


def computed_phases(computed: Ledger) -> list[dict[str, object]]:
    """The ledger of the formulas in the form that records of traces have."""
    return [
        {
            "phase": phase.name.value,
            "total": phase.total,
            "categories": {kind.value: phase.of(kind) for kind in Category if phase.of(kind)},
        }
        for phase in computed.phases
    ]
