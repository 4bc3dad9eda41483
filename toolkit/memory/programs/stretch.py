"""A stretch of a pass, as moments and what several GPUs add to them share it."""

from __future__ import annotations

from collections.abc import Mapping

from toolkit.frozen import frozen
from toolkit.memory.tape.peaks import ALONE, Peaks


@frozen
class Stretch:
    """The moments of one name: what is there throughout, in bytes by row, and what is alive beside it at each.

    `place` is that of the layer in turn, of a decoder after an encoder's: 0 is the encoder's first.
    """

    name: str
    throughout: Mapping[str, int]
    peaks: Peaks = ALONE
    place: int | None = None
