"""The cell of a table in which an offset lies, by the labels of its row and column."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from operator import itemgetter

from toolkit.documents.document import Document
from toolkit.documents.tables import Table
from toolkit.frozen import frozen


@frozen
class CellSpot:
    """A cell: its labels and offsets, those of its row, and where its table begins.

    `named` says that the labels name this cell and no other, and that it is neither of them.
    """

    row: str
    column: str
    span: tuple[int, int]
    row_span: tuple[int, int]
    table_start: int
    named: bool

    def number_from(self, document: Document, start: int) -> int:
        """Which table it is of those that begin at an offset or later, from 1."""
        first, own = (bisect_left(document.tables, at, key=_start) for at in (start, self.table_start))
        return own - first + 1


def cell_spot(document: Document, offset: int) -> CellSpot | None:
    """The cell around an offset; None outside of tables."""
    tables = document.tables
    number = bisect_right(tables, offset, key=_start) - 1
    if number < 0 or offset >= tables[number].end:
        return None
    table = tables[number]
    if table.header_span[0] <= offset < table.header_span[1]:
        return _spot(table, None, offset)
    row = bisect_right(table.row_spans, offset, key=itemgetter(0)) - 1
    return _spot(table, row, offset) if row >= 0 else None


def _start(table: Table) -> int:
    return table.start


def _spot(table: Table, row: int | None, offset: int) -> CellSpot | None:
    cells = table.header if row is None else table.rows[row]
    span = table.header_span if row is None else table.row_spans[row]
    for column, cell in enumerate(cells):
        if cell.start <= offset < cell.end:
            label, heading = cells[0].text, table.header[column].text
            alone = len(table.rows_by_label.get(label, ())) == len(table.columns_by_text.get(heading, ())) == 1
            named = alone and row is not None and column > 0
            return CellSpot(label, heading, (cell.start, cell.end), span, table.start, named)
    return None
