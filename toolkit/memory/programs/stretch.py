"""A stretch of a pass, shared by the moments of one GPU and what several GPUs add to them."""

from __future__ import annotations

from collections.abc import Mapping

from toolkit.frozen import frozen
from toolkit.memory.tape.peaks import ALONE, Peaks


@frozen
class Stretch:
    """The moments of one name: what exists throughout, in bytes by row, and what is alive beside it at each moment.

    `place` is the position of the current layer, where layers are unlike each other: 0 is the first, of an encoder if
    there is one.
    """

    name: str
    throughout: Mapping[str, int]
    peaks: Peaks = ALONE
    place: int | None = None


def having(stretch: Stretch, rows: Mapping[str, int]) -> Stretch:
    """A stretch throughout which rows have such bytes."""
    return Stretch(stretch.name, {**stretch.throughout, **rows}, stretch.peaks, stretch.place)


def just_before(stretch: Stretch, rows: Mapping[str, int]) -> Stretch:
    """A moment with so many bytes more beside what is there throughout a stretch, before anything of it runs."""
    alive = dict(stretch.throughout)
    for row, size in rows.items():
        alive[row] = alive.get(row, 0) + size
    return Stretch(stretch.name, alive)
