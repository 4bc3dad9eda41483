"""A pool of CUDA's caching allocator, replayed for events that are all known, as fast as Python can.

The rules are those of toolkit.memory.allocator.caching, on a card of unlimited memory: a run has tens of thousands of
events, and is replayed in several orders.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence

from toolkit.memory.allocator.caching import (
    LARGE_SEGMENT,
    MIN_BLOCK,
    OWN_SEGMENT_FROM,
    SEGMENT_UNIT,
    SMALL_REQUEST,
    SMALL_SEGMENT,
)

BLOCK_BITS = MIN_BLOCK.bit_length() - 1

MOST_SMALL = SMALL_REQUEST // MIN_BLOCK
"""The largest request, in blocks of 512 bytes, that the pool of small requests serves."""


class _Pieces:
    """The pieces that segments are split into, numbered from 1; 0 stands for no neighbour, and is never free.

    Sizes and addresses count blocks of 512 bytes. A free piece is one integer that packs its size, its address and its
    number, from high to low bits, so that sorted integers are in best-fit order: the number takes `number_bits`, and
    everything below the size `bits_below`.
    """

    def __init__(self, wanted: Sequence[int], events: int, warm: int) -> None:
        self.number_bits = (2 * events + 2).bit_length()
        most = warm + sum(wanted) + len(wanted) * LARGE_SEGMENT
        self.bits_below = self.number_bits + most.bit_length()
        self.size = [0]
        self.place = [0]  # address and number
        self.before, self.after = [0], [0]  # neighbours in the same segment
        self.key = [0]  # the integer of a piece among the free ones
        self.reserved = 0

    def open(self, size: int) -> int:
        """Opens a segment as one piece, which is not free."""
        piece = len(self.size)
        self.size.append(size)
        self.place.append(self.reserved << self.number_bits | piece)
        self.before.append(0)
        self.after.append(0)
        self.key.append(0)
        self.reserved += size
        return piece


def in_blocks(sizes: Iterable[int]) -> list[int]:
    """Bytes as blocks of 512, rounded up."""
    return [size + MIN_BLOCK - 1 >> BLOCK_BITS for size in sizes]


def pool_reserved(
    wanted: Sequence[int], order: Sequence[int], warm: int = 0, *, small: bool = False, most: int | None = None
) -> int:
    """The most bytes that are reserved for requests above 1 MiB, or for `small` ones."""
    return replay_pool(wanted, order, warm, small=small, most=most)[0]


def replay_pool(
    wanted: Sequence[int], order: Sequence[int], warm: int = 0, *, small: bool = False, most: int | None = None,
    alive: Sequence[int] = (),
) -> tuple[int, int]:  # fmt: skip
    """The most bytes that are reserved for requests above 1 MiB, or for `small` ones; and the most that torch counts.

    `n` in the order allocates block n, whose size is in blocks of 512 bytes, and `-n` frees it. `warm` bytes exist
    first, as one free block. The replay ends once more than `most` bytes are reserved. `alive` has for each event the
    most blocks that are alive of both pools until the next; to these torch counts what is left of pieces that are not
    split. All is in one loop, because function calls would take longer than their work.
    """
    kept = 0 if small else MOST_SMALL
    limit = float("inf") if most is None else most // MIN_BLOCK
    piece_of = [0] * len(wanted)
    free: list[int] = []
    pieces = _Pieces(wanted, len(order), warm)
    number_bits, bits_below = pieces.number_bits, pieces.bits_below
    number = (1 << number_bits) - 1
    size_of, place_of, before, after, key = pieces.size, pieces.place, pieces.before, pieces.after, pieces.key
    if warm:
        piece = pieces.open(-(-warm // SEGMENT_UNIT) * SEGMENT_UNIT // MIN_BLOCK)
        key[piece] = size_of[piece] << bits_below | place_of[piece]
        free.append(key[piece])
    beside = counted = 0
    for at_event, event in enumerate(order):
        if event > 0:
            want = wanted[event]
            place = bisect_left(free, want << bits_below)
            if place < len(free):
                piece = free.pop(place) & number
                key[piece] = 0
            else:
                piece = pieces.open(_segment(want, small=small))
                if pieces.reserved > limit:
                    break
            rest = size_of[piece] - want
            if rest > kept:
                size_of[piece] = want
                new, other = len(size_of), after[piece]
                at = (place_of[piece] >> number_bits) + want << number_bits | new
                size_of.append(rest)
                place_of.append(at)
                before.append(piece)
                after.append(other)
                after[piece] = before[other] = new
                at |= rest << bits_below
                key.append(at)
                insort(free, at)
            else:
                beside += rest
            piece_of[event] = piece
        else:
            piece = piece_of[-event]
            beside -= size_of[piece] - wanted[-event]
            other = after[piece]
            if key[other]:
                del free[bisect_left(free, key[other])]
                size_of[piece] += size_of[other]
                key[other] = 0
                after[piece] = other = after[other]
                before[other] = piece
            first = before[piece]
            if key[first]:
                del free[bisect_left(free, key[first])]
                size_of[first] += size_of[piece]
                after[first], before[other] = other, first
                piece = first
            key[piece] = at = size_of[piece] << bits_below | place_of[piece]
            insort(free, at)
        if alive and alive[at_event] + beside > counted:
            counted = alive[at_event] + beside
    return pieces.reserved * MIN_BLOCK, counted * MIN_BLOCK


def _segment(want: int, *, small: bool) -> int:
    """The blocks of the segment that is opened for a request."""
    size = want * MIN_BLOCK
    if size >= OWN_SEGMENT_FROM:
        return -(-size // SEGMENT_UNIT) * SEGMENT_UNIT // MIN_BLOCK
    return (SMALL_SEGMENT if small else LARGE_SEGMENT) // MIN_BLOCK
