"""Figures of a document without a drafted claim; they are listed, so that nobody takes them for checked."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import Final

from toolkit.documents.draft.drafted import Loose
from toolkit.documents.scan.claim import FoundClaim, Scanned
from toolkit.quantity import Dimension, Value

_KINDS: Final = {
    Dimension.BYTES: "an amount of memory, of what is not said",
    Dimension.COUNT: "a number, of what is not said",
    Dimension.SHARE: "a share",
    Dimension.SECONDS: "a time",
    Dimension.MONEY: "a price",
    Dimension.RATIO: "a ratio",
}


def loose_figures(scanned: Scanned, claims: Iterable[FoundClaim]) -> Iterator[Loose]:
    """Values with a unit that neither a claim nor an equation holds, in the order of the text."""
    taken = sorted({(claim.start, claim.end) for claim in claims})
    taken += [
        (read.piece.start + equation.start, read.piece.start + equation.end)
        for read in scanned.pieces
        for equation in read.equations
    ]
    taken.sort()
    for read in scanned.pieces:
        for value in read.values:
            if value.unit.dimension is not Dimension.NUMBER and not _within(taken, read.piece.start, value):
                start, end = read.piece.start + value.start, read.piece.start + value.end
                line = scanned.place(start, end).line
                yield Loose(line, scanned.written(start, end), _KINDS[value.unit.dimension])


def _within(taken: list[tuple[int, int]], start: int, value: Value) -> bool:
    at = bisect_right(taken, (start + value.start, start + value.end)) - 1
    return any(low <= start + value.start and start + value.end <= high for low, high in taken[max(0, at - 2) : at + 2])
