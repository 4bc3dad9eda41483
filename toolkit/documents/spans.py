"""Pieces of a text, to ask which others they touch."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable


class Spans:
    """Pieces of a text by their offsets, those that touch each other merged."""

    def __init__(self, spans: Iterable[tuple[int, int]]) -> None:
        merged: list[tuple[int, int]] = []
        for start, end in sorted(spans):
            if merged and start <= merged[-1][1]:
                merged[-1] = merged[-1][0], max(merged[-1][1], end)
            else:
                merged.append((start, end))
        self._starts = [start for start, _ in merged]
        self._ends = [end for _, end in merged]

    def meet(self, start: int, end: int) -> bool:
        """Whether one of them shares a character with a piece."""
        found = bisect_right(self._starts, max(start, end - 1)) - 1
        return found >= 0 and self._ends[found] > start
