"""Find a cell of a table by the texts of its row and column."""

from __future__ import annotations

from collections.abc import Sequence

from toolkit.documents.document import Document
from toolkit.documents.match import Match, Slot
from toolkit.documents.plain import plain
from toolkit.documents.quotes import find_within
from toolkit.documents.tables import Table, TableCell
from toolkit.documents.wording import listed, nearest, shown
from toolkit.finding import Finding, Place
from toolkit.spec.quote import Cell, TableRef


def find_cell(document: Document, cell: Cell, *, hint: bool = True) -> Match | Finding:
    """The place of a cell's pattern, or of the whole cell; a finding lies at the cell's place in the spec."""
    table = find_table(document, cell.table, hint=hint)
    if isinstance(table, Finding):
        return table
    row = _row(document, table, cell)
    column = _column(document, table, cell)
    if isinstance(row, Finding):
        return row
    if isinstance(column, Finding):
        return column
    cells = table.rows[row]
    where = f"row {shown(cell.row)}, column {shown(cell.column)} of {_named(document, table)}"
    if column >= len(cells) or not cells[column].raw:
        return Finding(
            cell.place, "D204", f"the cell in {where} is empty", "Fill the cell, or delete its claim."
        )
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
        named = document.section(ref.under, hint=hint)
        if isinstance(named, Finding):
            return Finding(ref.place, named.code, named.message, named.repair)
        section = named
        where += f" under {shown(ref.under)}"
    tables = [table for table in document.tables if section[0] <= table.start < section[1]]
    number = ref.occurrence or 1
    if number <= len(tables):
        return tables[number - 1]
    lines = listed(f"line {document.position(table.start)[0]}" for table in document.tables)
    known = f"; tables begin at {lines}" if lines else ""
    count = f"only {len(tables)} table{'s' * (len(tables) > 1)}" if tables else "no table"
    repair = "Name the heading above the table with `under`."
    return Finding(ref.place, "D203", f"{where} has {count}{known}", repair)


def _row(document: Document, table: Table, cell: Cell) -> int | Finding:
    """The row whose first cell has this text, else the one row in which any cell has it."""
    wanted = plain(cell.row)
    labels = table.labels
    rows = [number for number, row in enumerate(labels) if row and row[0] == wanted]
    rows = rows or [number for number, row in enumerate(labels) if wanted in row]
    if len(rows) == 1:
        return rows[0]
    if rows:
        lines = [f"line {document.position(table.rows[number][0].start)[0]}" for number in rows]
        return _several(document, table, cell.place, f"rows {shown(cell.row)}", lines)
    return _unknown(document, table, cell.place, ("row", cell.row), [row[0] for row in labels if row])


def _column(document: Document, table: Table, cell: Cell) -> int | Finding:
    """The column whose header has this text."""
    wanted = plain(cell.column)
    labels = [header.text for header in table.header]
    if labels.count(wanted) == 1:
        return labels.index(wanted)
    if wanted in labels:
        numbers = [f"column {number + 1}" for number, label in enumerate(labels) if label == wanted]
        return _several(document, table, cell.place, f"columns {shown(cell.column)}", numbers)
    return _unknown(document, table, cell.place, ("column", cell.column), labels)


def _several(document: Document, table: Table, place: Place, what: str, which: Sequence[str]) -> Finding:
    message = f"{_named(document, table)} has {len(which)} {what}: {listed(which)}"
    return Finding(
        place, "D203", message, "Bind the claim with a `quote` instead, or make the labels differ."
    )


def _unknown(
    document: Document, table: Table, place: Place, wanted: tuple[str, str], known: Sequence[str]
) -> Finding:
    kind, label = wanted
    near = nearest(plain(label), known)
    message = f"{_named(document, table)} has no {kind} {shown(label)}; {kind}s: {listed(map(shown, known))}"
    repair = f"Write {shown(near)}." if near else f"Write a {kind} as it stands in the table."
    return Finding(place, "D203", message + (f"; nearest: {shown(near)}" if near else ""), repair)


def _named(document: Document, table: Table) -> str:
    return f"the table at {document.shown_path}:{document.position(table.start)[0]}"


def _whole(cell: TableCell) -> Match:
    text = " ".join(cell.raw.split())
    return Match(cell.start, cell.end, (Slot(text, cell.start, cell.end),), text)
