"""Bytes that stay symbolic in the batch and the sequence."""

from __future__ import annotations

from collections.abc import Mapping
from operator import add, sub
from typing import NamedTuple

BYTES = {"fp32": 4, "bf16": 2, "fp16": 2, "int8": 1, "fp8": 1, "int32": 4, "int64": 8, "bool": 1}


OPEN = 1 << 50
"""Stands for a rank that is open: larger than the bytes of any layer, and even enough for every change of dtype."""

# A tape adds and takes away sizes by the ten thousand: this leaves out the unpacking that a call of Size would do.
_SIZE = tuple.__new__


class Size(NamedTuple):
    """Bytes for each token, padded token, pair of query and key, position, sequence, and token of a loss chunk.

    Lengths are padded to 128 for some; `fixed` is what depends on neither batch nor sequence.
    """

    token: int = 0
    padded: int = 0
    pair: int = 0
    position: int = 0
    sequence: int = 0
    fixed: int = 0
    chunk: int = 0

    def plus(self, other: Size) -> Size:
        """The sum of two sizes."""
        return _SIZE(Size, map(add, self, other))

    def minus(self, other: Size) -> Size:
        """The difference of two sizes."""
        return _SIZE(Size, map(sub, self, other))

    def parts(self) -> tuple[int, ...]:
        """All parts, those that an open rank moves apart from the rest (see `rank`)."""
        if max(self) < OPEN:
            return (*self, *_UNMOVED)
        return (*[part % OPEN for part in self], *[part // OPEN for part in self])

    def times(self, factor: int) -> Size:
        """The size of `factor` such things."""
        return _SIZE(Size, [factor * a for a in self])


_UNMOVED = (0,) * len(Size._fields)

NOTHING = Size()
Alive = Mapping[str, Size]
"""What is alive at a moment: the size of each row."""
