"""The document cut into pieces that are read each by itself: paragraphs, headings, cells, comments of code."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from toolkit.documents.document import Document
from toolkit.documents.plain import plain
from toolkit.documents.scan.html_tables import HtmlTable, html_tables
from toolkit.documents.scan.visible import without_tags
from toolkit.documents.tables import Table

_FENCE: Final = re.compile(r"[ \t>]*(?:[-*+][ \t]+)?(?:`{3,}|~{3,})[ \t]*\{?\.?([\w+-]*)")
_OUTPUT: Final = frozenset(
    {"", "text", "txt", "console", "output", "plaintext", "log", "math", "latex", "none", "plain"}
)
_COMMENT: Final = re.compile(r"(?:(?m:^)|[ \t])(?:#|//)[ \t]+(.*)")
_MARKER: Final = re.compile(r"[ \t]*(?:[-*+]|[0-9]{1,9}[.)])[ \t]+(?:\[[ xX]\][ \t]+)?|[ \t]*#{1,6}[ \t]+")


class Kind(StrEnum):
    """What a piece of a document is."""

    PROSE = "prose"
    HEADING = "heading"
    CELL = "cell"
    CODE = "code"


@dataclass(frozen=True)
class Grid:
    """A table as the cells of its rows, header first, each with its offsets and its text as a reader sees it."""

    header: tuple[str, ...]
    rows: tuple[tuple[tuple[int, int, str], ...], ...]


@dataclass(frozen=True)
class Piece:
    """A piece of the text with what stands around it.

    `headings` are those whose sections it lies in, the innermost first; `lead` is the paragraph before it. A cell
    has its `row` label, its `column` heading, and the grid with its own place in it.
    """

    start: int
    end: int
    kind: Kind
    headings: tuple[str, ...] = ()
    lead: str = ""
    row: str = ""
    column: str = ""
    grid: Grid | None = field(default=None, repr=False)
    spot: tuple[int, int] = (0, 0)


def pieces(document: Document, shown: str) -> Iterator[Piece]:
    """The pieces of a document, in order of kind; `shown` is its text with what nobody reads blanked."""
    sections = _Sections(document)
    tables = [(table.start, table.end, _grid(table)) for table in document.tables]
    found_html = html_tables(shown) if "<table" in shown.casefold() else []
    tables += [(table.start, table.end, _html_grid(table)) for table in found_html]
    taken = _taken_lines(document, tables)
    lead = ""
    leads: list[tuple[int, str]] = []
    for block in _blocks(document, shown, taken):
        piece = replace(block, headings=sections.at(block.start), lead=lead)
        if piece.kind is not Kind.CODE:
            lead = shown[piece.start : piece.end][-400:]
            leads.append((piece.start, lead))
        yield piece
    starts = [start for start, _ in leads]
    for start, _, grid in tables:
        before = bisect_right(starts, start) - 1
        yield from _cells(grid, sections.at(start), leads[before][1] if before >= 0 else "")


class _Sections:
    """Which headings a place stands under."""

    def __init__(self, document: Document) -> None:
        self._headings = document.headings
        self._starts = [heading.start for heading in document.headings]

    def at(self, offset: int) -> tuple[str, ...]:
        found = bisect_right(self._starts, offset) - 1
        if found < 0:
            return ()
        heading = self._headings[found]
        return (heading.text, *reversed(heading.path))


def _taken_lines(document: Document, tables: list[tuple[int, int, Grid]]) -> set[int]:
    taken: set[int] = set()
    for start, end, _ in tables:
        taken.update(range(document.lines.at(start), document.lines.at(max(start, end - 1)) + 1))
    return taken


def _blocks(document: Document, shown: str, taken: set[int]) -> Iterator[Piece]:
    lines, structure = document.lines, document.structure
    headings = {lines.at(heading.start) for heading in document.headings}
    breaks = structure.block_starts
    at, count = 0, len(lines)
    while at < count:
        end = at + 1
        if at in taken or not shown[slice(*lines.span(at))].strip():
            at = end
            continue
        verbatim = at in structure.verbatim
        while end < count and end not in breaks and (verbatim or _continues(document, shown, end, taken)):
            end += 1
        span = lines.starts[at], lines.span(end - 1)[1]
        if verbatim:
            yield from _verbatim(document, shown, at, end)
        else:
            kind = Kind.HEADING if at in headings else Kind.PROSE
            marker = _MARKER.match(shown, *span)
            yield Piece(marker.end() if marker else span[0], span[1], kind)
        at = end


def _continues(document: Document, shown: str, line: int, taken: set[int]) -> bool:
    return line not in taken and bool(shown[slice(*document.lines.span(line))].strip())


def _verbatim(document: Document, shown: str, first: int, end: int) -> Iterator[Piece]:
    """What people write in a block of code: the comments, or all of what is output; HTML is prose."""
    fence = _FENCE.match(document.unquoted, document.lines.starts[first])
    opening = shown[slice(*document.lines.span(first))].lstrip()
    if fence is None and opening.startswith("<"):
        yield Piece(document.lines.starts[first], document.lines.span(end - 1)[1], Kind.PROSE)
        return
    whole = fence is None or fence[1].casefold() in _OUTPUT
    for line in range(first + (fence is not None), end):
        start, stop = document.lines.span(line)
        comment = _COMMENT.search(document.text, start, stop)
        if comment is not None and _spoken(document.text[start : comment.start()]):
            yield Piece(comment.start(1), stop, Kind.CODE)
        elif whole and not shown[start:stop].lstrip().startswith(("$ ", "pip ", "python ", "--", "```", "~~~")):
            marker = _MARKER.match(shown, start, stop)
            yield Piece(marker.end() if marker else start, stop, Kind.CODE)


def _spoken(before: str) -> bool:
    """Whether a comment sign stands outside of a string."""
    return before.count('"') % 2 == 0 and before.count("'") % 2 == 0


def _grid(table: Table) -> Grid:
    rows = tuple(tuple((cell.start, cell.end, cell.text) for cell in row) for row in table.rows)
    header = tuple((cell.start, cell.end, cell.text) for cell in table.header)
    return Grid(tuple(text for _, _, text in header), (header, *rows))


def _html_grid(table: HtmlTable) -> Grid:
    rows = tuple(tuple((start, end, plain(text)) for start, end, text in row) for row in table.rows)
    return Grid(tuple(text for _, _, text in rows[0]) if rows else (), rows)


def _cells(grid: Grid, headings: tuple[str, ...], lead: str) -> Iterator[Piece]:
    for number, row in enumerate(grid.rows):
        label = row[0][2] if row else ""
        for column, (start, end, _) in enumerate(row):
            heading = grid.header[column] if number and column < len(grid.header) else ""
            yield Piece(start, end, Kind.CELL, headings, lead, label if column else "", heading, grid, (number, column))


def text_of(piece: Piece, shown: str) -> str:
    """The text of a piece, its tags blanked; its offsets are those of the document less the piece's start."""
    return without_tags(shown[piece.start : piece.end])
