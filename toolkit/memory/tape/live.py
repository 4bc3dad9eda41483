"""What is alive while a tape is recorded, and the moments at which the most is."""

from __future__ import annotations

from collections.abc import Mapping

from toolkit.memory.size import Alive, Packed, Size, packed, reaches, unpacked
from toolkit.memory.tape.peaks import unreached

Event = tuple[int, str, Size]
"""An allocation (1) or a release (-1) of so much in a row."""


class Live:
    """Sizes of what is alive by row, and a copy of them whenever it stops growing: the moments between are below those.

    What is deferred happens at `replay`.
    """

    def __init__(self) -> None:
        self.deferred: list[Event] | None = None
        self._rows: dict[str, Packed] = {}
        self._moments: list[tuple[Packed, dict[str, Packed]]] = []
        self._total: Packed = 0
        self._grows = False

    def add(self, row: str, size: Size) -> None:
        """Something is allocated."""
        if self.deferred is not None:
            self.deferred.append((1, row, size))
            return
        added = packed(size)
        self._rows[row] = self._rows.get(row, 0) + added
        self._total += added
        self._grows = True

    def remove(self, row: str, size: Size) -> None:
        """Something is released."""
        if self.deferred is not None:
            self.deferred.append((-1, row, size))
            return
        self.mark()
        gone = packed(size)
        self._rows[row] -= gone
        self._total -= gone

    def mark(self) -> None:
        """Note what is alive, if it grew since it was last noted."""
        if self._grows:
            self._moments.append((self._total, dict(self._rows)))
            self._grows = False

    def begin(self) -> None:
        """Forget the moments noted so far; what is alive now begins those that follow."""
        self._moments = []
        self._grows = True

    def pause(self) -> list[Event]:
        """End the deferral and hand out what was deferred."""
        events, self.deferred = self.deferred or [], None
        return events

    def replay(self, events: list[Event]) -> None:
        """Let what was deferred happen."""
        for sign, row, size in events:
            (self.add if sign > 0 else self.remove)(row, size)

    @property
    def alive(self) -> Alive:
        """What is alive now, by row."""
        return _unpacked(self._rows)

    @property
    def fullest(self) -> tuple[Alive, ...]:
        """The moments noted that are below no other in every part of their totals; the first of equals."""
        return tuple(map(_unpacked, unreached(self._moments, reaches, int)))


def _unpacked(rows: Mapping[str, Packed]) -> Alive:
    return {row: unpacked(number) for row, number in rows.items() if number}
