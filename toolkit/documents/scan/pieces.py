"""The document cut into pieces that are read each by itself: paragraphs, headings, cells, comments of code."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from toolkit.documents.document import Document
from toolkit.documents.scan.cues import component
from toolkit.documents.scan.grids import Grid, grids, taken_lines
from toolkit.documents.scan.verbatim import MARKER, is_html, spoken_lines
from toolkit.documents.scan.visible import without_tags

_LONGEST: Final = 20_000
"""Characters of a piece: what a paragraph or a cell has more is a piece of its own."""

_LONGEST_LABEL: Final = 200
_LEAD: Final = 400
_INTRO: Final = 800
_DEEPEST: Final = 4
"""How much of what stands before a piece, and of the items around one, is looked at."""


class Kind(StrEnum):
    """What a piece of a document is."""

    PROSE = "prose"
    HEADING = "heading"
    CELL = "cell"
    CODE = "code"


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
    intro: str = ""
    """What leads to the table or the list that it belongs to: the last paragraphs before that in its section."""
    item: bool = False
    """Whether it is an item of a list."""


def pieces(document: Document, shown: str) -> Iterator[Piece]:
    """The pieces of a document, in order of kind; `shown` is its text with what nobody reads blanked."""
    sections = _Sections(document)
    tables = grids(document, shown)
    taken = taken_lines(document, tables)
    leads: list[tuple[int, str, str]] = []
    for piece in _in_order(document, shown, taken, leads):
        yield from _cut(piece, shown)
    starts = [start for start, _, _ in leads]
    for start, _, grid in tables:
        before = bisect_right(starts, start) - 1
        above = leads[before][1:] if before >= 0 else ("", "")
        for cell in _cells(grid, sections.at(start), *above):
            yield from _cut(cell, shown)


def _cut(piece: Piece, shown: str) -> Iterator[Piece]:
    """A piece in parts that are short enough to be read, cut where a line or else a word ends."""
    start = piece.start
    while piece.end - start > _LONGEST:
        ends = (shown.rfind(sign, start + 1, start + _LONGEST) for sign in ("\n", " "))
        end = next((end for end in ends if end > start), start + _LONGEST)
        yield replace(piece, start=start, end=end)
        start = end
    yield piece if start == piece.start else replace(piece, start=start)


def _in_order(document: Document, shown: str, taken: set[int], leads: list[tuple[int, str, str]]) -> Iterator[Piece]:
    """What is no table, in order; `leads` notes what each place is led to by."""
    sections = _Sections(document)
    lead = intro = ""
    above = _Ancestors()
    for block in _blocks(document, shown, taken):
        said = shown[block.start : block.end][-_LEAD:]
        over = above.of(document, block, said) if block.item else ""
        piece = replace(block, headings=sections.at(block.start), lead=lead, intro=f"{intro}\n{over}"[-_INTRO:])
        yield piece
        if piece.kind is Kind.CODE:
            continue
        lead = said
        if piece.kind is Kind.HEADING:
            intro = ""
            above = _Ancestors()
        elif not piece.item:
            intro = f"{intro}\n{lead}"[-_INTRO:]
        leads.append((piece.start, lead, intro))


class _Ancestors:
    """The items of lists that an item stands in, by how far their markers are indented."""

    def __init__(self) -> None:
        self._open: list[tuple[int, str]] = []

    def of(self, document: Document, item: Piece, said: str) -> str:
        """What the items around an item say, the outermost first; the item is then the last of them."""
        line = document.lines.starts[document.lines.at(item.start)]
        column = len(document.unquoted[line : item.start]) - len(document.unquoted[line : item.start].lstrip())
        while self._open and self._open[-1][0] >= column:
            self._open.pop()
        over = "\n".join(text for _, text in self._open[-_DEEPEST:])
        self._open.append((column, said))
        return over


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


def _blocks(document: Document, shown: str, taken: set[int]) -> Iterator[Piece]:
    lines, structure = document.lines, document.structure
    headings = {lines.at(heading.start) for heading in document.headings}
    breaks = structure.block_starts
    at, count, body = 0, len(lines), lines.at(document.body)
    while at < count:
        end = at + 1
        if at in taken or not shown[slice(*lines.span(at))].strip():
            at = end
            continue
        verbatim = at in structure.verbatim
        while (
            end < count and at >= body and end not in breaks and (verbatim or _continues(document, shown, end, taken))
        ):
            end += 1
        span = lines.starts[at], lines.span(end - 1)[1]
        if verbatim:
            if is_html(document, shown, at):
                yield Piece(span[0], span[1], Kind.PROSE)
            else:
                yield from (Piece(*spot, Kind.CODE) for spot in spoken_lines(document, shown, at, end))
        else:
            kind = Kind.HEADING if at in headings else Kind.PROSE
            marker = MARKER.match(shown, *span)
            item = marker is not None and kind is Kind.PROSE
            yield Piece(marker.end() if marker else span[0], span[1], kind, item=item)
        at = end


def _continues(document: Document, shown: str, line: int, taken: set[int]) -> bool:
    return line not in taken and bool(shown[slice(*document.lines.span(line))].strip())


def _cells(grid: Grid, headings: tuple[str, ...], lead: str, intro: str) -> Iterator[Piece]:
    seen: set[int] = set()
    for number, row in enumerate(grid.rows):
        label = _label(row)
        for column, (start, end, _) in enumerate(row):
            if start in seen:
                continue  # it spans several places, and was read in the first
            seen.add(start)
            heading = grid.header[column] if number and column < len(grid.header) else ""
            row_label = label if column else ""
            yield Piece(start, end, Kind.CELL, headings, lead, row_label, heading, grid, (number, column), intro)


def _label(row: tuple[tuple[int, int, str], ...]) -> str:
    """What names a row: its first cell, and a second one that says which of its quantities stand in it."""
    texts = [text for _, _, text in row[:2]]
    measured = len(row) > 2 and not any(map(str.isdigit, texts[1])) and component(texts[1]) is not None
    label = " ".join(texts) if measured else "".join(texts[:1])
    return label if len(label) <= _LONGEST_LABEL else ""


def text_of(piece: Piece, shown: str) -> str:
    """The text of a piece, its tags blanked; its offsets are those of the document less the piece's start."""
    return without_tags(shown[piece.start : piece.end])
