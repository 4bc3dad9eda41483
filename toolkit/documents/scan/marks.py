"""Marks of a table that say whether something fits: "✅" under "Fits in 24 GB?", "No" in the row of a card."""

from __future__ import annotations

import re
from typing import Final

from toolkit.documents.scan.aspects import ASPECT
from toolkit.documents.scan.cues import speaks_of_memory
from toolkit.documents.scan.grids import Grid
from toolkit.documents.scan.names import gpus_in, models_in
from toolkit.documents.scan.pieces import Piece
from toolkit.documents.scan.values import values_in
from toolkit.quantity import Mark, parse_mark
from toolkit.quantity.value import Dimension

_FITS: Final = re.compile(r"\bfits?\b|\bfeasib\w+|\btrainable on\b|\bviable\b", re.IGNORECASE)
_ASKS: Final = re.compile(
    r"\bworks?\b|\bruns?\b|\brunnable\b|\bcompatib\w+|\bpossible\b|\bok\b",
    re.IGNORECASE,
)
_SETTING: Final = re.compile(
    r"\boffload\w*|\bcheckpoint\w*|\bflash|\bquanti\w*|\bsupport\w*|\bnvlink\b|\becc\b|\bavailab\w+|\btested\b|\bdefault\b",
    re.IGNORECASE,
)
"""Columns with answers about options or features, not about fit."""

_EXPLAINS: Final = re.compile(r"\bwhy\b|\bhow\b|\breason\w*|\bstatus\b", re.IGNORECASE)
"""Columns with remarks on an answer."""

_SHORT: Final = 60


def mark_of(piece: Piece, text: str) -> Mark | None:
    """The answer that a cell gives on whether something fits a card; None where its table asks nothing of that kind."""
    grid = piece.grid
    if grid is None or not piece.spot[0] or not piece.spot[1] or len(text) > _SHORT:
        return None
    mark = parse_mark(text)
    if mark is None or _EXPLAINS.search(piece.column):
        return None
    if _FITS.search(piece.column) or gpus_in(piece.column):
        return mark
    if _is_card(piece.column):
        return mark if _answers(grid, piece.spot[1]) else None
    if _ASKS.search(piece.column):
        return mark if _of_memory(piece, grid) else None
    if not _is_card(piece.row) or _SETTING.search(piece.column):
        return None
    if not gpus_in(piece.row) and not (ASPECT.fullmatch(piece.column) or models_in(piece.column)):
        return None  # amounts of something, of which another thing is asked
    return mark if _of_cards(grid) and _answers(grid, piece.spot[1]) else None


def _of_memory(piece: Piece, grid: Grid) -> bool:
    """Whether a table speaks of memory or of cards: in its headings, in the row, or in what stands over it."""
    texts = (*grid.header, *(text for _, _, text in grid.rows[piece.spot[0]][:3]), *piece.headings[:1], piece.intro)
    return any(speaks_of_memory(text) or _is_card(text) for text in texts)


def _is_card(label: str) -> bool:
    if gpus_in(label):
        return True
    return any(value.unit.dimension is Dimension.BYTES for value in values_in(label[:_SHORT]))


def _of_cards(grid: Grid) -> bool:
    """Whether the first column lists cards."""
    labels = [row[0][2] for row in grid.rows[1:21] if row]
    return bool(labels) and sum(map(_is_card, labels)) * 2 > len(labels)


def _answers(grid: Grid, column: int) -> bool:
    """Whether most of a column's cells are answers."""
    cells = [row[column][2] for row in grid.rows[1:21] if len(row) > column]
    return sum(len(cell) <= _SHORT and parse_mark(cell) is not None for cell in cells) * 2 > len(cells)
