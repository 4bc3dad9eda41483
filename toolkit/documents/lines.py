"""Where the lines of a text begin and end."""

from __future__ import annotations

import re
from bisect import bisect_right

_LINE_END = re.compile(r"\r\n?|\n")


class Lines:
    """The lines of a text, counted from 0; LF, CR LF and CR end a line, as in CommonMark."""

    __slots__ = ("_ends", "starts")

    def __init__(self, text: str) -> None:
        ends = [(found.start(), found.end()) for found in _LINE_END.finditer(text)]
        self.starts = [0, *(end for _, end in ends)]
        self._ends = [*(start for start, _ in ends), len(text)]

    def __len__(self) -> int:
        return len(self.starts)

    def at(self, offset: int) -> int:
        """The line in which an offset lies; a line's end belongs to that line."""
        return bisect_right(self.starts, offset) - 1

    def span(self, line: int) -> tuple[int, int]:
        """Start and end of a line, without what ends it."""
        return self.starts[line], self._ends[line]

    def start(self, line: int) -> int:
        """Start of a line; of a line after the last, the end of the text."""
        return self.starts[line] if line < len(self.starts) else self._ends[-1]
