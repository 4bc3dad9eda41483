"""What can be traced, value by value, as text and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from toolkit.report.json import as_json
from toolkit.report.terminal import INDENT, Paint, line, table

MOST_NAMED = 20
"""The most values that are named one by one."""

Covered = tuple[str, str, str]
"""A field, a value, and why it cannot be traced (empty: it can)."""


def covered_json(found: Sequence[Covered]) -> str:
    """The list as JSON."""
    rows = [
        {"field": field, "value": value, "traced": not refusal, "reason": refusal or None}
        for field, value, refusal in found
    ]
    return as_json({"covered": rows})


def covered_text(found: Sequence[Covered], paint: Paint) -> str:
    """A line for what is traced of each field, and one for each value that is not, with the reason."""
    lines = []
    for field, values in groupby(found, key=lambda one: one[0]):
        rows = list(values)
        traced = [value for _, value, refusal in rows if not refusal]
        said = line("; ".join(traced)) if len(traced) <= MOST_NAMED else f"{len(traced)} of {len(rows)}"
        lines.append(paint.bold(line(field)) + (f": {said}" if traced else ""))
        refused = [(f"not {value}", refusal) for _, value, refusal in rows if refusal]
        lines += [f"{INDENT}{text}" for text in table([tuple(map(line, row)) for row in refused], frozenset())]
    count = sum(not refusal for *_, refusal in found)
    lines.append(f"{count} of {len(found)} are traced")
    return "\n".join(lines) + "\n"
