"""Explanations of finding codes and ledger rows, as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import wrap

from toolkit.codes import Code
from toolkit.memory.rows.rule import RowRule
from toolkit.report.json import as_json
from toolkit.report.terminal import INDENT, Paint, line

Entry = Code | RowRule
WIDTH = 100


def explain_json(entries: Sequence[Entry]) -> str:
    """One object for a code or row, with all that is known of it."""
    return as_json([_code(one) if isinstance(one, Code) else _row(one) for one in entries])


def explain_text(entries: Sequence[Entry], paint: Paint | None = None) -> str:
    """The entries, with blank lines between them."""
    colours = paint or Paint()
    return "\n\n".join("\n".join(_entry(one, colours)) for one in entries) + "\n"


def _entry(entry: Entry, paint: Paint) -> Iterator[str]:
    if isinstance(entry, Code):
        yield f"{paint.bold(entry.code)} {entry.title}"
        yield from _paragraph(entry.why)
        yield from _paragraph(f"Repair: {entry.repair}")
        yield f"{INDENT}Example:"
        yield from (f"{INDENT}{INDENT}{text}" for text in entry.example.split("\n"))
        return
    phases = ", ".join(phase.value for phase in entry.phases)
    yield f"{paint.bold(entry.name)} (ledger row, {entry.category.value}; alive at: {phases})"
    for label, text in (("", entry.explanation), ("Formula: ", entry.formula), ("Source: ", entry.source)):
        if text:
            yield from _paragraph(f"{label}{text}")


def _paragraph(text: str) -> Iterator[str]:
    for part in wrap(line(text), WIDTH - len(INDENT), break_long_words=False, break_on_hyphens=False):
        yield f"{INDENT}{part}"


def _code(code: Code) -> dict[str, object]:
    return {
        "code": code.code,
        "title": code.title,
        "why": code.why,
        "repair": code.repair,
        "example": code.example,
    }


def _row(row: RowRule) -> dict[str, object]:
    return {
        "row": row.name,
        "category": row.category.value,
        "phases": [phase.value for phase in row.phases],
        "formula": row.formula,
        "source": row.source,
        "explanation": row.explanation,
    }
