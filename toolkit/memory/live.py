"""What is alive while a tape is recorded, and the moments at which the most is."""

from __future__ import annotations

from toolkit.memory.size import NOTHING, Size

Event = tuple[int, str, Size]
"""An allocation (1) or a release (-1) of so much in a row."""


class Live:
    """Sizes of what is alive by row, and a copy of them whenever it stops growing: the moments between are below those.

    What is deferred happens at `replay`.
    """

    def __init__(self) -> None:
        self.rows: dict[str, Size] = {}
        self.moments: list[tuple[Size, dict[str, Size]]] = []
        self.deferred: list[Event] | None = None
        self._total = NOTHING
        self._grows = False

    def add(self, row: str, size: Size) -> None:
        """Something is allocated."""
        if self.deferred is not None:
            self.deferred.append((1, row, size))
            return
        self.rows[row] = self.rows[row].plus(size) if row in self.rows else size
        self._total = self._total.plus(size)
        self._grows = True

    def remove(self, row: str, size: Size) -> None:
        """Something is released."""
        if self.deferred is not None:
            self.deferred.append((-1, row, size))
            return
        self.mark()
        self.rows[row] = self.rows[row].minus(size)
        self._total = self._total.minus(size)

    def mark(self) -> None:
        """Note what is alive, if it grew since it was last noted."""
        if self._grows:
            self.moments.append((self._total, dict(self.rows)))
            self._grows = False

    def pause(self) -> list[Event]:
        """End the deferral and hand out what was deferred."""
        events, self.deferred = self.deferred or [], None
        return events

    def replay(self, events: list[Event]) -> None:
        """Let what was deferred happen."""
        for sign, row, size in events:
            (self.add if sign > 0 else self.remove)(row, size)
