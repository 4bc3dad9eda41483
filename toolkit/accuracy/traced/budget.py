"""The committed errors of traces, which may only shrink while the readings that they cover only grow."""

from __future__ import annotations

from toolkit.accuracy.budget import Entry
from toolkit.accuracy.traced.compare import LIKE, TracedTable

FILE = "traced.json"
ABOUT = (
    "Errors of traces against published readings, as shares, by method and releases. They may only shrink, and the"
    " readings that they cover only grow: `toolkit accuracy --traced --refresh` writes them anew."
)


def traced_entries(table: TracedTable) -> list[Entry]:
    """The entries that a table would commit: those like for like. The distance of other releases is no error."""
    return [
        Entry.of(f"{column.kind}: {column.method}", column.metric, column.errors, complete=True)
        for column in table.columns
        if column.kind == LIKE and not column.source
    ]
