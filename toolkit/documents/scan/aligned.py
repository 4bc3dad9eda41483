"""Tables that a program printed: columns set apart by spaces, under one line of headings."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from typing import Final

from toolkit.documents.document import Document
from toolkit.documents.scan.cues import component
from toolkit.documents.scan.verbatim import is_output

Cell = tuple[int, int, str]
_FIELD: Final = re.compile(r"\S*_\S*|[^\s_]+(?: [^\s_]+(?=\s|\Z))*")
"""Words with one space between them, or one name with underscores; two spaces begin the next column."""

_SIZED: Final = re.compile(r"\bsizes?\b", re.IGNORECASE)
_AMOUNT: Final = re.compile(r"[0-9]\s?[KMGT]i?B?\b")
_LONGEST: Final = 400
_FEWEST: Final = 3
_MOST: Final = 40


def aligned_tables(document: Document, shown: str, first: int, end: int) -> Iterator[tuple[int, int, list[list[Cell]]]]:
    """The tables in a block of output, with their offsets and rows, the headings first: those that speak of memory.

    A cell belongs to the heading that it stands under, or that is nearest.
    """
    if not is_output(document, first):
        return
    rows: list[list[Cell]] = []
    spans: list[tuple[int, int]] = []
    for line in range(first, end + 1):
        cells = _cells(document, shown, line) if line < end else []
        heads = _heads(cells)
        if rows and len(cells) >= _FEWEST - 1 and not heads:
            rows.append(_under(rows[0], spans, cells, document.lines.span(line)[0]))
            continue
        if len(rows) > 1:
            yield rows[0][0][0], max(cell[1] for cell in rows[-1]), rows
        rows = [cells] if heads else []
        if heads:
            start = document.lines.span(line)[0]
            spans = [(one - start, other - start) for one, other, _ in cells]


def _cells(document: Document, shown: str, line: int) -> list[Cell]:
    start, stop = document.lines.span(line)
    if stop - start > _LONGEST:
        return []
    found = [(one.start(), one.end(), one.group()) for one in _FIELD.finditer(shown, start, stop)]
    return found if len(found) <= _MOST else []


def _heads(cells: list[Cell]) -> bool:
    """Whether cells are headings: none has a figure of its own, one names memory or a size."""
    texts = [text for _, _, text in cells]
    if len(cells) < _FEWEST or any(text[0].isdigit() or _AMOUNT.search(text) for text in texts):
        return False
    return any(component(text) is not None or _SIZED.search(text) for text in texts)


def _under(header: list[Cell], spans: list[tuple[int, int]], cells: list[Cell], line: int) -> list[Cell]:
    """The cells of a row, one for each heading: an empty one where nothing stands under it."""
    row: list[Cell] = [(cells[0][0], cells[0][0], "")] * len(header)
    starts = [start for start, _ in spans]
    for start, end, text in cells:
        after = bisect_right(starts, start - line)
        near = [at for at in (after - 1, after) if 0 <= at < len(spans)]
        at = min(near, key=lambda column: max(spans[column][0] - (end - line), (start - line) - spans[column][1]))
        if not row[at][2]:
            row[at] = (start, end, text)
    return row
