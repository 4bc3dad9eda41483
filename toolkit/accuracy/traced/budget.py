"""The committed errors of traces, which may only shrink while the readings that they cover only grow."""

from __future__ import annotations

from toolkit.accuracy.budget import Entry, up
from toolkit.accuracy.traced.compare import LIKE, TracedTable

FILE = "traced.json"
ABOUT = (
    "Errors of traces against published readings, as shares, by method and releases. They may only shrink, and the"
    " readings that they cover only grow: `toolkit accuracy --traced --refresh` writes them anew."
)


def traced_entries(table: TracedTable) -> list[Entry]:
    """What a table would have committed: what is like for like. How far other releases are from it is no error."""
    return [
        Entry(
            f"{column.kind}: {column.method}",
            column.metric,
            True,
            column.errors.runs,
            column.errors.readings,
            up(column.errors.median),
            up(column.errors.p95),
            up(column.errors.width),
        )
        for column in table.columns
        if column.kind == LIKE and not column.source
    ]
