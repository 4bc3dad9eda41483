"""What is alive while a tape is recorded, and the moments at which the most is alive."""

from __future__ import annotations

from collections.abc import Mapping

from toolkit.memory.size import Alive, Packed, Size, packed, reaches, unpacked
from toolkit.memory.tape.peaks import unreached

Event = tuple[int, str, Size]
"""An allocation (1) or a release (-1), its row and its size."""


class Live:
    """Sizes of what is alive, by row, with a copy at each local maximum: the moments between have less.

    Deferred events take effect at `replay`.
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
        """Record what is alive, if it grew since the last record."""
        if self._grows:
            self._moments.append((self._total, dict(self._rows)))
            self._grows = False

    def begin(self) -> None:
        """Forget the moments recorded so far, and start anew with what is alive now."""
        self._moments = []
        self._grows = True

    def pause(self) -> list[Event]:
        """End the deferral and return the deferred events."""
        events, self.deferred = self.deferred or [], None
        return events

    def replay(self, events: list[Event]) -> None:
        """Apply deferred events."""
        for sign, row, size in events:
            (self.add if sign > 0 else self.remove)(row, size)

    @property
    def alive(self) -> Alive:
        """What is alive now, by row."""
        return _unpacked(self._rows)

    @property
    def fullest(self) -> tuple[Alive, ...]:
        """The recorded moments whose totals no other moment reaches in every part; the first of equal ones."""
        return tuple(map(_unpacked, unreached(self._moments, reaches, int)))


def _unpacked(rows: Mapping[str, Packed]) -> Alive:
    return {row: unpacked(number) for row, number in rows.items() if number}
