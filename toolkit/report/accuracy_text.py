"""The table of errors as text for a terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from itertools import groupby

from toolkit.accuracy.bars import DEVICE, ONE_GPU, RESERVED, SEVERAL_GPUS, Bar, Miss
from toolkit.accuracy.score import DEVELOPMENT, HELD_OUT, Score
from toolkit.accuracy.statistics import Group
from toolkit.accuracy.table import BOTH, Reason, Table
from toolkit.quantity import display_byte_range
from toolkit.report.terminal import line, plural
from toolkit.report.terminal import table as aligned
from toolkit.spec.written.published import READING_METRICS

LARGEST_ROWS = 6
_HEAD = (
    "by", "group", "runs", "median", "p90", "p95", "worst", "bias", "≤5 %", "≤10 %", "inside", "width",
    *(f"{half}: runs, median, p95" for half in (DEVELOPMENT, HELD_OUT)),
)  # fmt: skip
_NO_WIDTH = "·"
"""Where every estimate is one number, nothing can lie inside."""

_COLUMN_HEAD = ("column", "half", "runs", "median", "p95", "by source: runs, median, p95")
_MISS_HEAD = ("source", "column", "runs", "median", "p95", "inside", "widest", "cause, as far as it is known")
_UNKNOWN = "none found yet"
_REASON_HEAD = ("source", "runs", "readings", "reason")
_COMPLETE = "complete", "The record states all that the estimate needs."
_OPEN = "open", "The record leaves something open: the error is the distance to the estimated interval, 0 inside."

Rows = Sequence[tuple[str, ...]]


def accuracy_text(table: Table) -> str:
    """The table for a terminal."""
    parts: list[str] = []
    for title, note, rows in _sections(table):
        parts += ["", line(title), *([line(note)] if note else [])]
        parts += [line(text) for text in aligned([tuple(map(short, row)) for row in rows], frozenset())]
    parts += ["", "worst runs, with the rows of their largest phase"]
    for score in table.worst:
        parts += [line(text) for text in _worst(score)]
    return "\n".join([line(_summary(table)), *parts]) + "\n"


def accuracy_markdown(table: Table) -> str:
    """The table as Markdown; names from sources are escaped."""
    parts = [f"{_summary(table)}"]
    for title, note, rows in _sections(table):
        parts += ["", f"## {cell(title)}", ""] + ([cell(note), ""] if note else [])
        parts += markdown_rows(rows)
    parts += ["", "## Worst runs", ""]
    for score in table.worst:
        said, *ledger = _worst(score)
        parts += [f"- {cell(said)}", *(f"    - {cell(row.strip())}" for row in ledger)]
    return "\n".join(parts) + "\n"


def _summary(table: Table) -> str:
    return (
        f"{plural(table.readings, 'reading')} of {plural(table.runs, 'run')}: {table.scored:,} are compared with an"
        f" estimate, {table.readings - table.scored:,} are not, each for a reason below."
    )


def _sections(table: Table) -> Iterator[tuple[str, str, Rows]]:
    """Every table of the report: its title, a remark, and its rows, of which the first is the head."""
    yield (
        "Peaks of live tensors on one GPU, complete and of grade A; means over sources",
        (
            "Errors are shares of what was read, by distinct run: repeats of one configuration are averaged. "
            "Of training whole blocks are counted, as torch counts them; between the ends of two ways to load an error "
            "is 0."
        ),
        [_COLUMN_HEAD, *_columns(table)],
    )
    yield (
        "Sources that miss a bar, and why",
        f"Each source is held to these bars by itself. {_bars()} A star is beside what misses.",
        [_MISS_HEAD, *map(_miss, table.misses)],
    )
    both = [group for group in table.groups if group.half == BOTH]
    halves = {_key(group): group for group in table.groups if group.half != BOTH}
    for (metric, complete), of in groupby(both, key=lambda group: (group.metric, group.complete)):
        kind, error = _COMPLETE if complete else _OPEN
        yield (
            f"{metric}, {kind}",
            f"Read: {READING_METRICS[metric]}. {error}",
            [_HEAD, *(_row(group, halves) for group in of)],
        )
    for title, apart in (("Not estimated", False), ("Reported apart: not what they seem", True)):
        yield title, "", [_REASON_HEAD, *(_reason(one) for one in table.reasons if one.apart is apart)]


def _columns(table: Table) -> Iterator[tuple[str, ...]]:
    for column in table.columns:
        sources = "; ".join(
            f"{source}: {errors.runs}, {errors.median:.2%}, {errors.p95:.2%}" for source, errors in column.sources
        )
        yield column.name, column.half, str(column.runs), f"{column.median:.2%}", f"{column.p95:.2%}", sources


def _bars() -> str:
    bars = {
        "Live tensors on one GPU": ONE_GPU, "live tensors on several": SEVERAL_GPUS,
        "reserved": RESERVED, "device": DEVICE,
    }  # fmt: skip
    return "; ".join(f"{name}: {_bar(bar)}" for name, bar in bars.items()) + "."


def _bar(bar: Bar) -> str:
    parts = [
        f"median {bar.median:.0%}" if bar.median is not None else "",
        f"95 % of runs within {bar.p95:.0%}" if bar.p95 is not None else "",
        f"{1 - bar.outside:.0%} of runs inside" if bar.outside is not None else "",
        f"no interval wider than {bar.width:.0%}" if bar.width is not None else "",
    ]
    return ", ".join(filter(None, parts))


def _miss(miss: Miss) -> tuple[str, ...]:
    spans = bool(miss.widest)
    reached = {
        "median": f"{miss.errors.median:.2%}",
        "p95": f"{miss.errors.p95:.2%}",
        "outside": f"{miss.errors.inside:.0%}" if spans else _NO_WIDTH,
        "width": f"{miss.widest:.1%}" if spans else _NO_WIDTH,
    }
    starred = (f"{text} *" if name in miss.over else text for name, text in reached.items())
    return miss.source, miss.column, str(miss.errors.runs), *starred, " ".join(miss.causes) or _UNKNOWN


def _key(group: Group) -> tuple[str, bool, str, str, str]:
    return group.metric, group.complete, group.by, group.value, group.half


def _row(group: Group, halves: dict[tuple[str, bool, str, str, str], Group]) -> tuple[str, ...]:
    errors = group.errors
    shares = (errors.median, errors.p90, errors.p95, errors.worst)
    return (
        group.by,
        group.value,
        str(errors.runs),
        *(f"{share:.2%}" for share in shares),
        f"{errors.bias:+.2%}",
        *(f"{share:.0%}" for share in (errors.within_5, errors.within_10)),
        *((f"{errors.inside:.0%}", f"{errors.width:.1%}") if errors.width or errors.inside else (_NO_WIDTH,) * 2),
        *(_half(halves.get((*_key(group)[:-1], half))) for half in (DEVELOPMENT, HELD_OUT)),
    )


def _half(group: Group | None) -> str:
    """Runs, median and 95th percentile of one half of the runs."""
    return f"{group.errors.runs}, {group.errors.median:.2%}, {group.errors.p95:.2%}" if group is not None else ""


def _reason(reason: Reason) -> tuple[str, ...]:
    return reason.source, str(reason.runs), str(reason.readings), reason.reason


def _worst(score: Score) -> Iterator[str]:
    """One run: what was read and estimated, and the largest rows of the phase with the peak."""
    estimated = _bytes(*score.estimated)
    kind = "" if score.complete else ", open"
    yield (
        f"{score.error:+.1%} {score.source} {score.run.run} ({score.reading.id}): {score.reading.metric} read "
        f"{_bytes(score.read, score.read)}, estimated {estimated}{kind}"
    )
    phase = score.largest.ledger.peak
    for row in sorted(phase.rows, key=lambda row: -row.bytes)[:LARGEST_ROWS]:
        yield f"      {phase.name.value} {row.name} {_bytes(row.bytes, row.bytes)}"


def _bytes(low: int, high: int) -> str:
    return display_byte_range(low, high, "binary")


def short(text: str, most: int = 110) -> str:
    """A text, cut to `most` characters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def markdown_rows(rows: Rows) -> Iterable[str]:
    """A table as lines of Markdown; its first row is the head."""
    head, *body = rows
    yield f"| {' | '.join(map(cell, head))} |"
    yield f"|{'---|' * len(head)}"
    for row in body:
        yield f"| {' | '.join(map(cell, row))} |"


def cell(text: str) -> str:
    """Text escaped for a cell of a Markdown table."""
    safe = escape(line(text), quote=False)
    for sign in ("\\", "|", "`", "*", "_", "[", "]", "#"):
        safe = safe.replace(sign, f"\\{sign}")
    return safe
