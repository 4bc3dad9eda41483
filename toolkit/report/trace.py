"""Traces as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from fractions import Fraction
from typing import Any

from toolkit.evidence.record import Record
from toolkit.memory.card import Solved
from toolkit.quantity import Dimension, Interval, display_bytes, display_interval
from toolkit.report.json import as_json
from toolkit.report.terminal import INDENT, Paint, line, table

ROWS_SHOWN = 12


def traces_json(records: Iterable[Record]) -> str:
    """The records for programs."""
    return as_json({"traces": [{"identity": record.identity, **asdict(record)} for record in records]})


def solved_json(answers: Iterable[tuple[str, Solved]]) -> str:
    """The largest values that fit, by scenario, for programs."""
    return as_json({"solved": [{"scenario": scenario, **asdict(answer)} for scenario, answer in answers]})


def solved_text(scenario: str, answer: Solved) -> str:
    """The largest value that fits, and what one more would need, in two lines."""
    if answer.largest is None:
        said = f"{scenario}: no {answer.field} fits on {answer.gpu}"
    else:
        said = f"{scenario}: {answer.field} {answer.largest:,} is the largest that fits on {answer.gpu} ({answer.how})"
    beyond = [] if answer.beyond is None else [line(f"{INDENT}one more {answer.beyond.text()}")]
    return "\n".join([line(said), *beyond]) + "\n"


def trace_text(record: Record, paint: Paint, computed: int | None) -> str:
    """One record for people: its peak, beside what the formulas say, and where the memory is at that moment."""
    peak = record.peak
    fullest = next(phase for phase in record.phases if phase["phase"] == peak["phase"])
    blocks = " to ".join(f"{end:,}" for end in dict.fromkeys(peak["blocks"]))
    lines = [
        paint.bold(line(f"{record.scenario}: {record.setting['model']}, {record.setting['method']}")),
        line(f"{INDENT}peak in {peak['phase'].replace('_', ' ')}, at {peak['operation']}"),
        line(f"{INDENT}allocated {peak['allocated']:,} bytes ({display_bytes(peak['allocated'], 'binary')})"),
        line(f"{INDENT}in blocks {blocks} bytes, as torch.cuda.max_memory_allocated counts them"),
        line(f"{INDENT}reserved  {_interval(peak['reserved'])}, device {_interval(peak['device'])}"),
    ]
    said = display_bytes(peak["expandable"], "binary")
    lines.append(line(f"{INDENT}reserved  {said} with expandable_segments:True"))
    if peak["card"] is not None:
        lines.append(line(f"{INDENT}{peak['card']['said']}"))
    lines.append(line(f"{INDENT}traced    {record.made['traced']}"))
    if computed is not None:
        gap = (computed - peak["allocated"]) / peak["allocated"]
        lines.append(line(f"{INDENT}computed  {computed:,} bytes: {gap:+.3%} of the trace"))
    lines += [f"{INDENT}{text}" for text in table([_row(row) for row in fullest["rows"][:ROWS_SHOWN]], frozenset({0}))]
    rest = fullest["rows"][ROWS_SHOWN:]
    count = len(rest) + fullest["rest"]["rows"]
    if count:
        size = sum(row["bytes"] for row in rest) + fullest["rest"]["bytes"]
        lines.append(line(f"{INDENT}{display_bytes(size, 'binary')} in {count} more"))
    return "\n".join(lines) + "\n"


def _row(row: Mapping[str, Any]) -> tuple[str, ...]:
    return display_bytes(row["bytes"], "binary"), line(row["category"]), line(row["module"]), line(row["storages"])


def _interval(ends: list[int]) -> str:
    return display_interval(Interval(Fraction(ends[0]), Fraction(ends[1])), Dimension.BYTES, "binary")
