"""Bytes that stay symbolic in the batch and the sequence."""

from __future__ import annotations

from collections.abc import Mapping
from operator import add, sub
from typing import NamedTuple

BYTES = {"fp32": 4, "bf16": 2, "fp16": 2, "int8": 1, "fp8": 1, "int32": 4, "int64": 8, "bool": 1}


_RANK_BITS = 50
OPEN = 1 << _RANK_BITS
"""Stands for the rank of adapters while a tape is recorded, so that a model is followed once for all ranks.

Every size is a sum of something and of something times the rank: `something + OPEN * times_rank`, one number, as it is
larger than the bytes of any layer, and even enough for every change of dtype.
"""

_REST = OPEN - 1

Parts = tuple[int, ...]
"""The parts of a size, and where an open rank moves it, then what each has times the rank (see `Size.parts`)."""

# A tape adds and takes away sizes by the ten thousand: this leaves out the unpacking that a call of Size would do.
_SIZE = tuple.__new__


class Size(NamedTuple):
    """Bytes for each token, padded token, pair of query and key, position, sequence, and token of a loss chunk.

    Lengths are padded to 128 for some; `fixed` is what depends on neither batch nor sequence. A pair counts in every
    sequence; `square` is what all sequences share of it.
    """

    token: int = 0
    padded: int = 0
    pair: int = 0
    position: int = 0
    sequence: int = 0
    fixed: int = 0
    chunk: int = 0
    square: int = 0

    def plus(self, other: Size) -> Size:
        """The sum of two sizes."""
        return _SIZE(Size, map(add, self, other))

    def minus(self, other: Size) -> Size:
        """The difference of two sizes."""
        return _SIZE(Size, map(sub, self, other))

    def parts(self) -> Parts:
        """All parts; and where an open rank moves any, what it moves apart: so much of each, times the rank."""
        if max(self) < OPEN:
            return self
        return (*[part & _REST for part in self], *[part >> _RANK_BITS for part in self])

    def times(self, factor: int) -> Size:
        """The size of `factor` such things."""
        return _SIZE(Size, [factor * a for a in self])


NOTHING = Size()
Alive = Mapping[str, Size]
"""What is alive at a moment: the size of each row."""
Amounts = Mapping[str, Parts]
"""The same with each size in its parts."""
