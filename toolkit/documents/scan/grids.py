"""The tables of a document in one form, whatever they are written in: Markdown, HTML, bars alone, printed columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from toolkit.documents.document import Document
from toolkit.documents.plain import plain
from toolkit.documents.scan.aligned import aligned_tables
from toolkit.documents.scan.html_tables import HtmlTable, html_tables
from toolkit.documents.scan.loose_rows import loose_rows
from toolkit.documents.scan.printed_bars import printed_bars
from toolkit.documents.scan.verbatim import is_html
from toolkit.documents.tables import Table


@dataclass(frozen=True)
class Grid:
    """A table as the cells of its rows, header first, each with its offsets and its text as a reader sees it."""

    header: tuple[str, ...]
    rows: tuple[tuple[tuple[int, int, str], ...], ...]


Placed = tuple[int, int, Grid]
"""A table with the offsets of where it begins and ends."""


def grids(document: Document, shown: str) -> list[Placed]:
    """The tables of a document; `shown` is its text with what nobody reads blanked."""
    tables = [(table.start, table.end, _grid(table)) for table in document.tables]
    found_html = html_tables(shown) if "<table" in shown.casefold() else []
    found_html = [table for table in found_html if len(table.rows) > 1]  # one row sets things side by side
    tables += [(table.start, table.end, _html_grid(table)) for table in found_html]
    tables += [(start, end, _plain_grid(rows)) for start, end, rows in _printed(document, shown)]
    tables += [(start, end, _captioned(rows, unit)) for start, end, rows, unit in printed_bars(document, shown)]
    heads = {document.lines.at(max(start, end - 1)) + 1: grid.rows[0] for start, end, grid in tables}
    loose = loose_rows(document, shown, taken_lines(document, tables), heads)
    return tables + [(start, end, _plain_grid(rows)) for start, end, rows in loose]


def taken_lines(document: Document, tables: list[Placed]) -> set[int]:
    """The lines that tables take."""
    taken: set[int] = set()
    for start, end, _ in tables:
        taken.update(range(document.lines.at(start), document.lines.at(max(start, end - 1)) + 1))
    return taken


def _grid(table: Table) -> Grid:
    rows = tuple(tuple((cell.start, cell.end, cell.text) for cell in row) for row in table.rows)
    header = tuple((cell.start, cell.end, cell.text) for cell in table.header)
    return Grid(tuple(text for _, _, text in header), (header, *rows))


def _printed(document: Document, shown: str) -> Iterator[tuple[int, int, list[list[tuple[int, int, str]]]]]:
    """The tables in blocks of output."""
    verbatim = document.structure.verbatim
    for first in sorted(
        line for line in verbatim if line - 1 not in verbatim or line in document.structure.block_starts
    ):
        end = first + 1
        while end in verbatim and end not in document.structure.block_starts:
            end += 1
        if not is_html(document, shown, first):
            yield from aligned_tables(document, shown, first, end)


def _plain_grid(rows: Sequence[Sequence[tuple[int, int, str]]]) -> Grid:
    return Grid(tuple(text for _, _, text in rows[0]), tuple(map(tuple, rows)))


def _captioned(rows: list[tuple[tuple[int, int, str], ...]], unit: str) -> Grid:
    """A table whose caption gives the unit of its columns."""
    header = tuple(f"{text} ({unit})" if unit and column else text for column, (_, _, text) in enumerate(rows[0]))
    return Grid(header, tuple(rows))


def _html_grid(table: HtmlTable) -> Grid:
    rows = tuple(tuple((start, end, plain(text)) for start, end, text in row) for row in table.rows)
    width = len(rows[0]) if rows else 0
    heads = [[row[column][2] for row in rows[: table.header] if column < len(row)] for column in range(width)]
    return Grid(tuple(" ".join(dict.fromkeys(texts)) for texts in heads), rows)
