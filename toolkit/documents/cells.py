"""Find a cell of a table by the texts of its row and column."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection

from toolkit.documents.document import Document
from toolkit.documents.match import Match, Slot
from toolkit.documents.plain import plain
from toolkit.documents.quotes import find_within
from toolkit.documents.sections import find_section
from toolkit.documents.tables import Table, TableCell
from toolkit.documents.wording import listed, nearest, shown
from toolkit.finding import Finding, Place
from toolkit.spec.quote import Cell, TableRef


def find_cell(document: Document, cell: Cell, *, hint: bool = True) -> Match | Finding:
    """The match of a cell's pattern, or of the whole cell; a finding points at the cell in the spec."""
    table = find_table(document, cell.table, hint=hint)
    if isinstance(table, Finding):
        return table
    row = _row(document, table, cell, hint)
    column = _column(document, table, cell, hint)
    if isinstance(row, Finding):
        return row
    if isinstance(column, Finding):
        return column
    cells = table.rows[row]
    where = f"row {shown(cell.row)}, column {shown(cell.column)} of {_named(document, table)}"
    if column >= len(cells) or not cells[column].raw:
        return Finding(cell.place, "D204", f"the cell in {where} is empty", "Fill the cell, or delete its claim.")
    found = cells[column]
    if cell.pattern is not None:
        match = find_within(document, cell.pattern, (found.start, found.end), hint=False)
        if isinstance(match, Finding) and match.code == "D201":
            message = f"quote {shown(cell.pattern.text)} is not in {where}, which says {shown(found.raw)}"
            return Finding(match.place, "D201", message, match.repair)
        return match
    return _whole(found)


def find_table(document: Document, ref: TableRef, *, hint: bool = True) -> Table | Finding:
    """The first, or n-th, table under a heading, or of the document."""
    section = (document.body, len(document.text))
    where = document.shown_path
    if ref.under is not None:
        named = find_section(document, ref.under, hint=hint)
        if isinstance(named, Finding):
            return Finding(ref.place, named.code, named.message, named.repair)
        section = named
        where += f" under {shown(ref.under)}"
    first, after = (bisect_left(document.tables, offset, key=lambda table: table.start) for offset in section)
    count, number = after - first, ref.occurrence or 1
    if number <= count:
        return document.tables[first + number - 1]
    lines = listed(document.tables, lambda table: f"line {document.position(table.start)[0]}")
    known = f"; tables begin at {lines}" if lines else ""
    has = f"only {count} table{'s' * (count > 1)}" if count else "no table"
    repair = "Name the heading above the table with `under`."
    return Finding(ref.place, "D203", f"{where} has {has}{known}", repair)


def _row(document: Document, table: Table, cell: Cell, hint: bool) -> int | Finding:
    """The row whose first cell has this text, else the one row in which any cell has it."""
    wanted = plain(cell.row)
    rows = table.rows_by_label.get(wanted) or table.rows_by_text.get(wanted) or []
    if len(rows) == 1:
        return rows[0]
    if rows:
        lines = listed(rows, lambda row: f"line {document.position(table.row_spans[row][0])[0]}")
        return _several(document, table, cell.place, f"{len(rows)} rows {shown(cell.row)}: {lines}")
    return _unknown(document, table, cell.place, ("row", cell.row, table.rows_by_label), hint)


def _column(document: Document, table: Table, cell: Cell, hint: bool) -> int | Finding:
    """The column whose header has this text."""
    wanted = plain(cell.column)
    columns = table.columns_by_text.get(wanted, [])
    if len(columns) == 1:
        return columns[0]
    if columns:
        numbers = listed(columns, lambda column: f"column {column + 1}")
        return _several(document, table, cell.place, f"{len(columns)} columns {shown(cell.column)}: {numbers}")
    return _unknown(document, table, cell.place, ("column", cell.column, table.columns_by_text), hint)


def _several(document: Document, table: Table, place: Place, which: str) -> Finding:
    message = f"{_named(document, table)} has {which}"
    return Finding(place, "D203", message, "Bind the claim with a `quote` instead, or make the labels differ.")


def _unknown(
    document: Document, table: Table, place: Place, wanted: tuple[str, str, Collection[str]], hint: bool
) -> Finding:
    kind, label, known = wanted
    near = nearest(plain(label), known) if hint else None
    message = f"{_named(document, table)} has no {kind} {shown(label)}; {kind}s: {listed(known, shown)}"
    repair = f"Write {shown(near)}." if near else f"Write a {kind} as it stands in the table."
    return Finding(place, "D203", message + (f"; nearest: {shown(near)}" if near else ""), repair)


def _named(document: Document, table: Table) -> str:
    return f"the table at {document.shown_path}:{document.position(table.start)[0]}"


def _whole(cell: TableCell) -> Match:
    text = " ".join(cell.raw.split())
    return Match(cell.start, cell.end, (Slot(text, cell.start, cell.end),), text)
