"""Tables written in HTML: their cells by place, those that span rows or columns in each place that they cover."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

_TAG: Final = re.compile(r"<(/?)(table|tr|t[dh])((?:\s[^<>]{0,500})?)>", re.IGNORECASE)
_SPAN: Final = re.compile(r"(row|col)span\s*=\s*[\"']?([0-9]{1,4})", re.IGNORECASE)
_WIDEST: Final = 64
"""Columns that spans are spread over: what is wider is no table that a person reads."""

Cell = tuple[int, int, str]


@dataclass(frozen=True)
class HtmlTable:
    """Rows of cells, each with its offsets and its inner HTML; `header` is how many rows at the top are headings."""

    start: int
    end: int
    rows: tuple[tuple[Cell, ...], ...]
    header: int = 1


@dataclass
class _Open:
    """A cell whose end is not found yet."""

    start: int
    columns: int
    rows: int
    heading: bool


@dataclass
class _Reading:
    """A table as far as it is read; `hanging` maps columns to a cell that reaches down, and how many rows it does."""

    start: int
    rows: list[list[Cell]] = field(default_factory=list)
    headings: list[bool] = field(default_factory=list)
    hanging: dict[int, tuple[Cell, int]] = field(default_factory=dict)

    def open_row(self) -> None:
        self.rows.append([])
        self.headings.append(True)
        self._hang()

    def add(self, cell: Cell, opened: _Open) -> None:
        row = self.rows[-1]
        self.headings[-1] &= opened.heading
        for _ in range(max(1, min(opened.columns, _WIDEST - len(row)))):
            if opened.rows > 1 and len(row) < _WIDEST:
                self.hanging[len(row)] = (cell, opened.rows - 1)
            row.append(cell)
        self._hang()

    def _hang(self) -> None:
        row = self.rows[-1]
        while (above := self.hanging.pop(len(row), None)) is not None:
            cell, left = above
            if left > 1:
                self.hanging[len(row)] = (cell, left - 1)
            row.append(cell)
            if len(row) > _WIDEST:
                return

    def table(self, end: int) -> HtmlTable:
        rows = [(row, heads) for row, heads in zip(self.rows, self.headings, strict=True) if row]
        header = next((number for number, (_, heads) in enumerate(rows) if not heads), len(rows))
        return HtmlTable(self.start, end, tuple(tuple(row) for row, _ in rows), max(1, min(header, 3)))


def html_tables(text: str) -> list[HtmlTable]:
    """The tables of a text. A table within a table ends the outer one: what is left of that is no table."""
    tables: list[HtmlTable] = []
    reading: _Reading | None = None
    cell: _Open | None = None
    for tag in _TAG.finditer(text):
        name, closing = tag[2].casefold(), bool(tag[1])
        if reading is not None and cell is not None and reading.rows:
            reading.add(_trimmed(text, cell.start, tag.start()), cell)
        cell = None
        if name == "table":
            if closing and reading is not None:
                tables.append(reading.table(tag.end()))
            reading = None if closing else _Reading(tag.start())
        elif reading is not None and name == "tr" and not closing:
            reading.open_row()
        elif reading is not None and name != "tr" and not closing:
            if not reading.rows:
                reading.open_row()  # one that is left to be understood
            spans = {kind.casefold(): int(number) for kind, number in _SPAN.findall(tag[3])}
            cell = _Open(tag.end(), spans.get("col", 1), spans.get("row", 1), name == "th")
    return tables


def _trimmed(text: str, start: int, end: int) -> Cell:
    inner = text[start:end]
    low, high = start + len(inner) - len(inner.lstrip()), end - len(inner) + len(inner.rstrip())
    return low, max(low, high), text[low:high]
