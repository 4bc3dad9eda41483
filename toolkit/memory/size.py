"""Bytes that stay symbolic in the batch and the sequence."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from operator import add, sub
from struct import Struct
from typing import NamedTuple

BYTES = {"fp32": 4, "bf16": 2, "fp16": 2, "int8": 1, "fp8": 1, "int32": 4, "int64": 8, "bool": 1}

BLOCK = 256
"""Elements that share a scale in bitsandbytes' 8-bit states (functional.py, since 0.44)."""
FLASH_TILE = 128
"""Whole multiples of which lengths are padded to, for flash attention's backward."""
EFFICIENT_TILE = 64
"""The same for the memory-efficient kernel's backward: rows and columns of a block (cutlass kernel_backward.h)."""
MIN_8BIT = 4096
"""Tensors with fewer elements keep float32 states (optim/optimizer.py, min_8bit_size)."""


def in_8_bit(elements: int) -> int:
    """The bytes of one state of bitsandbytes' 8-bit optimizers: one an element, and a float32 scale for a block."""
    if elements < MIN_8BIT:
        return elements * BYTES["fp32"]
    return elements + -(-elements // BLOCK) * BYTES["fp32"]


_RANK_BITS = 50
OPEN = 1 << _RANK_BITS
"""Stands for the rank of adapters while a tape is recorded, so that a model is followed once for all ranks.

Every size is a sum of something and of something times the rank: `something + OPEN * times_rank`, one number, as it is
larger than the bytes of any layer, and even enough for every change of dtype.
"""

_REST = OPEN - 1

KEPT = 1 << 14
"""Sizes of which another form is remembered."""

Parts = tuple[int, ...]
"""The parts of a size, and where an open rank moves it, then what each has times the rank (see `Size.parts`)."""

# A tape adds and takes away sizes by the ten thousand: this leaves out the unpacking that a call of Size would do.
_SIZE = tuple.__new__


class Size(NamedTuple):
    """Bytes for each token, padded token (two ways), pair of query and key, position, sequence, token of a loss chunk.

    Lengths are padded to 128 for some, to 64 for what is `tiled`; `fixed` depends on neither batch nor sequence.
    A pair counts in every sequence; `square` is what all sequences share of it. A `piece` is of as many tokens as a
    recurrence goes through at once, the last one padded; `further` are those of each sequence after its first three.

    What a kernel stages to sum all tokens to so many `outputs` is no multiple of them: see `staged`.
    """

    token: int = 0
    padded: int = 0
    tiled: int = 0
    pair: int = 0
    position: int = 0
    sequence: int = 0
    fixed: int = 0
    chunk: int = 0
    square: int = 0
    piece: int = 0
    further: int = 0
    outputs: int = 0
    others: int = 0

    def plus(self, other: Size) -> Size:
        """The sum of two sizes."""
        return _SIZE(Size, map(add, self, other))

    def minus(self, other: Size) -> Size:
        """The difference of two sizes."""
        return _SIZE(Size, map(sub, self, other))

    @lru_cache(maxsize=KEPT)  # noqa: B019 - sizes are values, and the same few come again and again
    def parts(self) -> Parts:
        """All parts; and where an open rank moves any, what it moves apart: so much of each, times the rank."""
        if max(self) < OPEN:
            return self
        return (*[part & _REST for part in self], *[part >> _RANK_BITS for part in self])

    def times(self, factor: int) -> Size:
        """The size of `factor` such things."""
        return _SIZE(Size, [factor * a for a in self])

    def of_length(self, length: int) -> Size:
        """The same where every sequence is of a length of its own, whatever that of the batch's tokens."""
        padded = -(-length // FLASH_TILE) * FLASH_TILE
        tiled = -(-length // EFFICIENT_TILE) * EFFICIENT_TILE
        each = self.token * length + self.padded * padded + self.tiled * tiled + self.pair * length * length
        shared = self.position * length + self.square * length * length
        return Size(sequence=self.sequence + each, fixed=self.fixed + shared)


NOTHING = Size()

OUTPUTS = Size._fields.index("outputs")
_OUTPUT_BITS = 32
_MOST_OUTPUTS = 1 << 48


def staged(outputs: int, rows: int = 1) -> Size:
    """What a sum over all tokens, of so many rows each, to so many outputs stages.

    More outputs may need less: no size of one reaches another's. Two of them are never alive at once, so that their
    outputs need not add up.
    """
    summed = rows << _OUTPUT_BITS | outputs
    return Size(outputs=summed, others=_MOST_OUTPUTS - summed)


def outputs_and_rows(summed: int) -> tuple[int, int]:
    """The outputs of a sum, and the rows of each token, from what `staged` says."""
    return summed & (1 << _OUTPUT_BITS) - 1, summed >> _OUTPUT_BITS


Packed = int
"""A size as one number: each part in 64 bits of its own, so that sizes are added and compared by the hundred thousand.

The highest bit of each is free: no part comes near it.
"""

_FIELDS = Struct(f"<{2 * len(NOTHING)}Q")
_FREE = int.from_bytes(_FIELDS.pack(*[1 << 63] * (2 * len(NOTHING))), "little")


@lru_cache(maxsize=KEPT)
def packed(size: Size) -> Packed:
    """A size as one number."""
    parts = *[part & _REST for part in size], *[part >> _RANK_BITS for part in size]
    return int.from_bytes(_FIELDS.pack(*parts), "little")


@lru_cache(maxsize=KEPT)
def unpacked(number: Packed) -> Size:
    """The size that a number stands for."""
    parts = _FIELDS.unpack(number.to_bytes(_FIELDS.size, "little"))
    half = len(parts) // 2
    return Size(*[part + OPEN * by_rank for part, by_rank in zip(parts[:half], parts[half:], strict=True)])


def reaches(one: Packed, other: Packed) -> bool:
    """Whether a size is at least another in every part: then no part borrows from the free bit above it."""
    return ((one | _FREE) - other) & _FREE == _FREE


Alive = Mapping[str, Size]
"""What is alive at a moment: the size of each row."""
Amounts = Mapping[str, Parts]
"""The same with each size in its parts."""
