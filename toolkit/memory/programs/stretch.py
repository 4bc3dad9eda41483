"""A stretch of a pass, shared by the moments of one GPU and what several GPUs add to them."""

from __future__ import annotations

from collections.abc import Mapping

from toolkit.frozen import frozen
from toolkit.memory.tape.peaks import ALONE, Peaks


@frozen
class Stretch:
    """The moments of one name: what exists throughout, in bytes by row, and what is alive beside it at each moment.

    `place` is the position of the current layer, if a decoder's follow an encoder's: 0 is the encoder's first.
    """

    name: str
    throughout: Mapping[str, int]
    peaks: Peaks = ALONE
    place: int | None = None
