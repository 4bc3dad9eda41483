"""Rows of a table that a blank line or a missing rule keeps from being one to Markdown, but not to a reader."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Set
from typing import Final

from toolkit.documents.document import Document
from toolkit.documents.plain import plain

Cell = tuple[int, int, str]
_ROW: Final = re.compile(r"[ \t]*\|.*\|[ \t]*\Z")
_CELL: Final = re.compile(r"(?:[^|\\]|\\.)*")
_RULE: Final = re.compile(r"[\s|:-]*\Z")
_FEWEST: Final = 2
_MOST: Final = 40
_LONGEST: Final = 2_000


def loose_rows(
    document: Document, shown: str, taken: Set[int], heads: Mapping[int, tuple[Cell, ...]]
) -> Iterator[tuple[int, int, list[tuple[Cell, ...]]]]:
    """Lines between bars outside of tables, run by run: where one begins and ends, and its rows, headings first.

    `taken` are the lines of tables, `heads` their headings by the line behind each. A run that follows a table over
    blank lines alone and is as wide goes on under its headings; any other has an empty first row.
    """
    rows: list[tuple[Cell, ...]] = []
    above: tuple[Cell, ...] = ()
    for line in range(document.lines.at(document.body), len(document.lines) + 1):
        above = heads.get(line, above)
        text, start = _text(document, shown, line, taken, inside=bool(rows))
        cells = _cells(text, start)
        if cells:
            rows = rows or [above if len(above) == len(cells) else ()]
            rows.append(cells)
        elif len(rows) == _FEWEST and not rows[0] and "-" in text and _RULE.match(text):
            rows = rows[1:]  # what stands over a rule is headings
        else:
            if len(rows) > 1:
                yield rows[1][0][0], rows[-1][-1][1], rows
            rows = []
        if text.strip():
            above = ()


def _text(document: Document, shown: str, line: int, taken: Set[int], *, inside: bool) -> tuple[str, int]:
    """A line of prose or of a fenced table, and where it begins; an empty one in place of others and at the end."""
    if line >= len(document.lines) or line in taken:
        return "", 0
    if line in document.structure.verbatim and not (inside or _ruled(document, shown, line + 1)):
        return "", 0
    start, stop = document.lines.span(line)
    return (shown[start:stop], start) if stop - start <= _LONGEST else ("", start)


def _ruled(document: Document, shown: str, line: int) -> bool:
    """Whether a line is the rule under the headings of a table: its block of code then holds a fenced table."""
    if line >= len(document.lines):
        return False
    start, stop = document.lines.span(line)
    text = shown[start:stop]
    return len(text) <= _LONGEST and "|" in text and "-" in text and _RULE.match(text) is not None


def _cells(text: str, start: int) -> tuple[Cell, ...]:
    """The cells of a line between bars, with their offsets; none of a rule or of a line with one cell."""
    if _ROW.match(text) is None or _RULE.match(text):
        return ()
    at, end = text.index("|") + 1, text.rstrip().rfind("|")
    found: list[Cell] = []
    while at < end and len(found) <= _MOST:
        cell = _CELL.match(text, at, end)
        assert cell is not None, "an empty cell is one"
        inner = cell.group()
        low = at + len(inner) - len(inner.lstrip())
        found.append((start + low, start + max(low, at + len(inner.rstrip())), plain(inner.strip())))
        at = cell.end() + 1
    return tuple(found) if _FEWEST <= len(found) <= _MOST else ()
