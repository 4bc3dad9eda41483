"""Tables written in HTML: their cells by place."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_TAG: Final = re.compile(r"<(/?)(table|tr|t[dh])(?:\s[^<>]{0,500})?>", re.IGNORECASE)


@dataclass(frozen=True)
class HtmlTable:
    """Rows of cells, each with its offsets and its inner HTML; offsets are those of the document."""

    start: int
    end: int
    rows: tuple[tuple[tuple[int, int, str], ...], ...]


def html_tables(text: str) -> list[HtmlTable]:
    """The tables of a text. A table within a table ends the outer one: what is left of that is no table."""
    tables: list[HtmlTable] = []
    rows: list[list[tuple[int, int, str]]] = []
    start = cell = -1
    for tag in _TAG.finditer(text):
        name, closing = tag[2].casefold(), bool(tag[1])
        if cell >= 0 and rows:
            low, high = _trimmed(text, cell, tag.start())
            rows[-1].append((low, high, text[low:high]))
        cell = -1
        if name == "table":
            if closing and start >= 0:
                tables.append(HtmlTable(start, tag.end(), tuple(tuple(row) for row in rows if row)))
            start, rows = (-1 if closing else tag.start()), []
        elif start >= 0 and name == "tr" and not closing:
            rows.append([])
        elif start >= 0 and name != "tr" and not closing:
            cell = tag.end()
    return tables


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    inner = text[start:end]
    return start + len(inner) - len(inner.lstrip()), end - len(inner) + len(inner.rstrip())
