"""Tables of a document: cells by the text of their row and column."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from toolkit.documents.lines import Lines
from toolkit.documents.plain import plain
from toolkit.documents.structure import TableLines
from toolkit.frozen import frozen

# A pipe parts cells even within inline code; only a backslash before it keeps it (GFM, section 4.10).
_PIPE = re.compile(r"(?<!\\)\|")
_CONTAINER = re.compile(r"[ \t]*(?:>|[-+*](?=[ \t])|\d{1,9}[.)](?=[ \t]))")


@frozen
class TableCell:
    """A cell: offsets and raw text without the white space around it, and its text as a reader sees it."""

    start: int
    end: int
    raw: str

    @property
    def text(self) -> str:
        """The cell as a reader sees it."""
        return plain(self.raw.replace("\\|", "|"))


@dataclass(frozen=True)
class Table:
    """A table: header and rows are cut into cells when they are first asked for."""

    start: int
    end: int
    header_span: tuple[int, int]
    row_spans: tuple[tuple[int, int], ...]
    columns: int
    source: str  # the document's text with block quote markers blanked: offsets are those of the text

    @cached_property
    def header(self) -> tuple[TableCell, ...]:
        """The cells of the first row."""
        return self._cells(self.header_span)

    @cached_property
    def rows(self) -> tuple[tuple[TableCell, ...], ...]:
        """The cells of the rows below the header; a row may have fewer cells than the header, never more."""
        return tuple(self._cells(span) for span in self.row_spans)

    @cached_property
    def labels(self) -> tuple[tuple[str, ...], ...]:
        """The texts of all rows below the header, as a reader sees them."""
        return tuple(tuple(cell.text for cell in row) for row in self.rows)

    @cached_property
    def columns_by_text(self) -> dict[str, list[int]]:
        """Numbers of the columns whose header has a text."""
        return _numbered([cell.text] for cell in self.header)

    @cached_property
    def rows_by_label(self) -> dict[str, list[int]]:
        """Numbers of the rows whose first cell has a text."""
        return _numbered(row[:1] for row in self.labels)

    @cached_property
    def rows_by_text(self) -> dict[str, list[int]]:
        """Numbers of the rows in which any cell has a text."""
        return _numbered(self.labels)

    def pipes(self) -> Iterator[int]:
        """Offsets of the pipes that part cells."""
        for start, end in (self.header_span, *self.row_spans):
            for pipe in _PIPE.finditer(self.source, start, end):
                yield pipe.start()

    def _cells(self, span: tuple[int, int]) -> tuple[TableCell, ...]:
        start, end = _trimmed(self.source, *span)
        edges = [pipe.start() for pipe in _PIPE.finditer(self.source, start, end)]
        spans = list(zip([start, *(edge + 1 for edge in edges)], [*edges, end], strict=True))
        if spans[0][0] == spans[0][1]:
            spans.pop(0)
        if spans and spans[-1][0] == spans[-1][1]:
            spans.pop()
        trimmed = [_trimmed(self.source, *inner) for inner in spans[: self.columns]]
        return tuple(TableCell(low, high, self.source[low:high]) for low, high in trimmed)


def make_table(source: str, lines: Lines, found: TableLines) -> Table:
    """A table from its lines in a text whose block quote markers are blanked."""
    header_start, header_end = lines.span(found.header)
    for _ in range(found.markers):
        marker = _CONTAINER.match(source, header_start, header_end)
        header_start = marker.end() if marker else header_start
    spans = tuple(lines.span(line) for line in found.rows)
    end = spans[-1][1] if spans else lines.span(found.header + 1)[1]
    return Table(header_start, end, (header_start, header_end), spans, found.columns, source)


def _numbered(rows: Iterable[Iterable[str]]) -> dict[str, list[int]]:
    numbered: dict[str, list[int]] = {}
    for number, texts in enumerate(rows):
        for text in dict.fromkeys(texts):
            numbered.setdefault(text, []).append(number)
    return numbered


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    return start, end
