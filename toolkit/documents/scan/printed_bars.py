"""Tables that a program printed with bars between their columns, in a block of output or in the comments of code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from toolkit.documents.document import Document

Cell = tuple[int, int, str]
_COMMENT: Final = re.compile(r"[ \t]*(?:(?:#|//)[ \t]?)?")
_RULE: Final = re.compile(r"[\s|+=:-]{3,}\Z")
_NUMBER: Final = re.compile(r"[~≈]?[0-9][0-9.,]*(?:[ ~≈%/0-9A-Za-z.-]{0,16})\Z")
_UNIT: Final = re.compile(r"\(((?:[GM]i?B|%))\)[:\s]*\Z")
_BARS: Final = re.compile(r"[|│]")
_FEWEST: Final = 3
_MOST: Final = 40
_LONGEST: Final = 400


def printed_bars(document: Document, shown: str) -> Iterator[tuple[int, int, list[tuple[Cell, ...]], str]]:
    """Runs of lines with as many bars: where each begins and ends, its rows, headings first, and its caption's unit.

    The first line names what stands in the others, each of which has a number. Lines that begin with a bar are left
    to other readers: `nvidia-smi` prints such boxes, whose lines mean several things.
    """
    rows: list[tuple[Cell, ...]] = []
    caption = unit = ""
    for line in [*sorted(document.structure.verbatim), len(document.lines)]:
        text, start = _said(document, shown, line)
        if rows and _RULE.match(text):
            continue
        cells = _cells(text, start)
        if rows and len(cells) == len(rows[0]) and any(_NUMBER.match(cell) for _, _, cell in cells[1:]):
            rows.append(cells)
            continue
        if len(rows) > 1:
            yield rows[0][0][0], rows[-1][-1][1], rows, unit
        rows = [cells] if cells and not any(map(str.isdigit, text)) else []
        unit = found[1] if (found := _UNIT.search(caption)) else ""
        caption = text.strip()[-_MOST:] or caption


def _said(document: Document, shown: str, line: int) -> tuple[str, int]:
    """What a line says behind its comment sign, and where that begins; nothing of a line that is too long."""
    if line >= len(document.lines):
        return "", 0
    start, stop = document.lines.span(line)
    if stop - start > _LONGEST:
        return "", start
    sign = _COMMENT.match(shown, start, stop)
    begin = sign.end() if sign else start
    return shown[begin:stop], begin


def _cells(text: str, start: int) -> tuple[Cell, ...]:
    if _BARS.match(text.lstrip()):
        return ()
    found: list[Cell] = []
    at = 0
    for end in [*(bar.start() for bar in _BARS.finditer(text)), len(text)]:
        inner = text[at:end]
        low = at + len(inner) - len(inner.lstrip())
        found.append((start + low, start + max(low, at + len(inner.rstrip())), inner.strip()))
        at = end + 1
    return tuple(found) if _FEWEST <= len(found) <= _MOST and all(cell for _, _, cell in found) else ()
