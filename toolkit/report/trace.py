"""Traces as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any, Protocol

from toolkit.evidence.record import Record
from toolkit.frozen import frozen
from toolkit.memory.allocator.card import CardFit, Solved
from toolkit.memory.ledger import Ledger
from toolkit.quantity import display_byte_range, display_bytes
from toolkit.report.json import as_json
from toolkit.report.terminal import INDENT, Paint, line, table
from toolkit.spec.settings.setting import Setting

ROWS_SHOWN = 12


class Traced(Protocol):
    """The parts of a trace that are shown; a protocol, because the class itself would import torch."""

    @property
    def setting(self) -> Setting:
        """The setting that was traced."""

    @property
    def ledger(self) -> Ledger:
        """The ledger of the trace."""

    @property
    def reserved(self) -> tuple[int, int]:
        """What the caching allocator holds, in bytes."""

    @property
    def device(self) -> tuple[int, int]:
        """What the GPU shows, in bytes."""

    @property
    def card(self) -> CardFit | None:
        """Whether it runs on a card."""

    @property
    def how(self) -> str:
        """Which part of the run was traced."""


def traces_json(records: Iterable[Record], computed: Mapping[str, object]) -> str:
    """The records as JSON; `computed` holds the phases of the formulas for some, by identity."""
    return as_json({
        "traces": [
            {"identity": record.identity, **asdict(record)}
            | ({"computed": computed[record.identity]} if record.identity in computed else {})
            for record in records
        ]
    })  # fmt: skip


@frozen
class Size:
    """One point of a sweep: a batch, a length, and the amounts shown."""

    batch_size: int
    sequence_length: int
    phase: str
    allocated: int
    reserved: tuple[int, int]
    device: tuple[int, int]
    card: CardFit | None
    traced: str

    @classmethod
    def of(cls, found: Traced) -> Size:
        """The point of a sweep from a trace."""
        setting, peak = found.setting, found.ledger.peak
        return cls(
            setting.batch_size, setting.sequence_length, peak.name.value, peak.total, found.reserved, found.device,
            found.card, found.how,
        )  # fmt: skip


def sweep_json(found: Iterable[tuple[str, list[Size]]]) -> str:
    """The points of each scenario, as JSON."""
    return as_json({"swept": [{"scenario": name, "sizes": [asdict(one) for one in sizes]} for name, sizes in found]})


def sweep_text(scenario: str, sizes: list[Size]) -> str:
    """A table with a row for each point, and how they were traced."""
    heads = ("batch", "length", "allocated", "reserved", "device", "peak in", "")
    rows = table([heads, *map(_size_row, sizes)], frozenset({0, 1, 2, 3, 4}))
    sources = [f"{INDENT}traced    {line(how)}" for how in dict.fromkeys(one.traced for one in sizes)]
    return "\n".join([line(scenario), *(f"{INDENT}{row}" for row in rows), *sources]) + "\n"


def _size_row(size: Size) -> tuple[str, ...]:
    fits = (
        "" if size.card is None else f"{size.card.verdict} on {size.card.gpu}".replace("depends on", "may not fit on")
    )
    return (
        f"{size.batch_size:,}", f"{size.sequence_length:,}", display_bytes(size.allocated, "binary"),
        _interval(list(size.reserved)), _interval(list(size.device)), size.phase.replace("_", " "), line(fits),
    )  # fmt: skip


def solved_json(answers: Iterable[tuple[str, Solved]]) -> str:
    """The largest values that fit, by scenario, as JSON."""
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
    """One record as text: its peak, that of the formulas, and where the memory is at that moment."""
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
    return display_byte_range(ends[0], ends[1], "binary")
