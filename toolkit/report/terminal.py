"""Text for a terminal or a log: single lines that no input can break out of, colours, and tables."""

from __future__ import annotations

from collections.abc import Sequence

from toolkit.finding import printable
from toolkit.frozen import frozen

INDENT = "    "


def line(text: str) -> str:
    """One line that steers neither a terminal nor the runner of a workflow.

    GitHub's runner obeys lines that begin with "::" after white space, and "##[" anywhere in a line.
    """
    safe = printable(text).replace("##[", "#\\x23[").rstrip()
    return f"./{safe.lstrip()}" if safe.lstrip().startswith("::") else safe


@frozen
class Paint:
    """Colours for words, or none."""

    on: bool = False

    def red(self, text: str) -> str:
        """Red, for what is wrong."""
        return self._painted("31", text)

    def yellow(self, text: str) -> str:
        """Yellow, for what is open."""
        return self._painted("33", text)

    def green(self, text: str) -> str:
        """Green, for what is right."""
        return self._painted("32", text)

    def dim(self, text: str) -> str:
        """Dim, for what matters less."""
        return self._painted("2", text)

    def bold(self, text: str) -> str:
        """Bold, for headings and summaries."""
        return self._painted("1", text)

    def _painted(self, colour: str, text: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self.on and text else text


def plural(count: int, one: str, many: str | None = None) -> str:
    """A count with its word: "1 claim", "2 claims"."""
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"


def table(rows: Sequence[tuple[str, ...]], right: frozenset[int]) -> list[str]:
    """Rows as aligned columns; those in `right` are aligned to the right."""
    if not rows:
        return []
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
