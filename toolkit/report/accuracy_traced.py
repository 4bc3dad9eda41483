"""The table of traces against published readings: as text for a terminal, as Markdown and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict

from toolkit.accuracy.traced.changes import Change
from toolkit.accuracy.traced.chosen import RULE
from toolkit.accuracy.traced.compare import LIKE, NOTED, Compared, TracedTable
from toolkit.report.accuracy_text import Rows, cell, markdown_rows, short
from toolkit.report.terminal import line, plural
from toolkit.report.terminal import table as aligned

Section = tuple[str, str, Rows]
_HEAD = (
    "releases", "metric", "column", "runs", "readings", "median", "p95", "worst", "bias", "≤2 %", "width",
    "p95 by the farther end", "transformers", "torch",
)  # fmt: skip
_NOTE = (
    "Errors are shares of what was read, and 0 inside the traced interval (how the model was loaded moves the blocks of"
    " the allocator); width is that interval's, and the last error is by its farther end. Repeats of one configuration"
    " are averaged. torch is that of the environment that traces, whatever release a record"
    " names."
)
_CHANGES = (
    "What the installed releases take more than those that the records name, at the median of the readings that have"
    " traces of both: where the peak moved to another phase, the parts of it that change most, and what is known to"
    " have changed in between."
)


def traced_text(table: TracedTable) -> str:
    """The table for a terminal."""
    parts: list[str] = []
    for title, note, rows in _sections(table):
        if len(rows) > 1:
            cells = [tuple(map(short, row)) for row in rows]
            parts += ["", line(title), *([line(note)] if note else [])]
            parts += [line(text) for text in aligned(cells, frozenset())]
    return "\n".join([line(RULE), *parts, "", line(_untried(table))]) + "\n"


def traced_markdown(table: TracedTable) -> str:
    """The table as Markdown; names from sources are escaped."""
    parts = [cell(RULE)]
    for title, note, rows in _sections(table):
        if len(rows) > 1:
            parts += ["", f"## {cell(title)}", "", *([cell(note), ""] if note else []), *markdown_rows(rows)]
    return "\n".join([*parts, "", cell(_untried(table))]) + "\n"


def traced_json(table: TracedTable) -> str:
    """The table as JSON."""
    found = {
        "rule": RULE,
        "columns": [asdict(one) | {"within_bars": one.within_bars} for one in table.columns],
        "misses": [_plain(one) for one in table.misses],
        "changes": [asdict(one) for one in table.changes],
        "stacks": [{"stack": stack, "traces": count} for stack, count in table.stacks],
        "not_traced": [{"source": source, "reason": reason, "runs": runs} for source, reason, runs in table.not_traced],
        "without_a_kept_trace": table.untried,
    }
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"


def _sections(table: TracedTable) -> Iterator[Section]:
    yield "Traces against published readings", _NOTE, [_HEAD, *_columns(table)]
    misses = [(f"{one.score.error:+.2%}", one.score.run.run, *_seen(one)) for one in table.misses]
    yield f"Like for like and off by more than {NOTED:.1%}", "", [("error", "run", "read", "traced", "how"), *misses]
    head = ("column", "stated transformers", "readings", "change", "peak moved", "most changed", "known changes")
    yield "Other releases: what changed", _CHANGES, [head, *map(_change, table.changes)]
    stacks = [(stack, str(count)) for stack, count in table.stacks]
    yield "Stacks that could be made to run", "", [("releases", "traces"), *stacks]
    refused = [(source, str(runs), reason) for source, reason, runs in table.not_traced]
    yield "Not traced", "", [("source", "runs", "reason"), *refused]


def _columns(table: TracedTable) -> Iterator[tuple[str, ...]]:
    for one in table.columns:
        errors = one.errors
        yield (
            one.kind,
            one.metric,
            f"{one.method}, {one.source}" if one.source else one.method,
            str(errors.runs),
            str(errors.readings),
            *(f"{share:.3%}" for share in (errors.median, errors.p95, errors.worst)),
            f"{errors.bias:+.3%}",
            f"{one.within_2:.0%}",
            f"{errors.width:.3%}",
            f"{one.far_p95:.3%}",
            f"{one.releases[0]} to {one.releases[-1]}" if len(one.releases) > 1 else "".join(one.releases),
            ", ".join(one.torch),
        )


def _change(one: Change) -> tuple[str, ...]:
    moved = ", ".join(f"{part} {size / 2**20:+,.0f} MiB" for part, size in one.parts)
    shown = (f"{one.share:+.2%}", ", ".join(one.phases), moved, "; ".join(one.known))
    return one.method, one.stated, str(one.runs), *shown


def _seen(one: Compared) -> tuple[str, str, str]:
    low, high = one.score.estimated
    traced = f"{low:,}" if low == high else f"{low:,} to {high:,}"
    return f"{one.score.read:,}", traced, "; ".join(sorted({made.traced for made in one.lines}))


def _untried(table: TracedTable) -> str:
    like = sum(one.errors.readings for one in table.columns if one.kind == LIKE and not one.source)
    rest = f"; {plural(table.untried, 'run')} have no kept trace" if table.untried else ""
    return f"{plural(like, 'reading')} compared like for like{rest}."


def _plain(one: Compared) -> dict[str, object]:
    return {
        "source": one.score.source,
        "run": one.score.run.run,
        "reading": one.score.reading.id,
        "read": one.score.read,
        "traced": list(one.score.estimated),
        "error": one.score.error,
        "how": [made.traced for made in one.lines],
        "libraries": [dict(made.libraries) for made in one.lines],
    }
