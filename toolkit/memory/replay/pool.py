"""A pool of CUDA's caching allocator, replayed for events that are all known, as fast as Python can.

The same rules as in toolkit.memory.allocator, on a card without end: a run has tens of thousands of events, and is
replayed in several orders.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence

from toolkit.memory.allocator import (
    LARGE_SEGMENT,
    MIN_BLOCK,
    OWN_SEGMENT_FROM,
    SEGMENT_UNIT,
    SMALL_REQUEST,
    SMALL_SEGMENT,
)

_BITS = 50
_ADDRESS = (1 << _BITS) - 1
"""A free block is one number, its size above its address: numbers in order are blocks as best fit wants them."""


def pool_reserved(sizes: Sequence[int], order: Sequence[int], warm: int = 0, *, small: bool = False) -> int:
    """The most that is reserved for requests above 1 MiB, or for `small` ones.

    `warm` bytes are there first, as one free block.

    `n` in the order allocates block n, of so many bytes, and `-n` frees it.
    """
    shared, kept = (SMALL_SEGMENT, 0) if small else (LARGE_SEGMENT, SMALL_REQUEST)
    at = [0] * len(sizes)
    taken = [0] * len(sizes)
    free: list[int] = []
    starts: dict[int, int] = {}
    ends: dict[int, int] = {}
    reserved = top = 0
    if warm:
        reserved = top = -(-warm // SEGMENT_UNIT) * SEGMENT_UNIT
        free.append(top << _BITS)
        starts[0] = ends[top] = top
        top += MIN_BLOCK
    for event in order:
        if event > 0:
            size = -(-sizes[event] // MIN_BLOCK) * MIN_BLOCK
            place = bisect_left(free, size << _BITS)
            if place < len(free):
                found = free.pop(place)
                address, whole = found & _ADDRESS, found >> _BITS
                del starts[address], ends[address + whole]
            else:
                address = top
                whole = shared if size < OWN_SEGMENT_FROM else -(-size // SEGMENT_UNIT) * SEGMENT_UNIT
                reserved += whole
                top += whole + MIN_BLOCK  # segments are no neighbours
            rest = whole - size
            if rest > kept:
                whole = size
                insort(free, rest << _BITS | address + size)
                starts[address + size] = ends[address + size + rest] = rest
            at[event], taken[event] = address, whole
        else:
            address, whole = at[-event], taken[-event]
            before = ends.pop(address, 0)
            if before:
                address -= before
                del starts[address]
                del free[bisect_left(free, before << _BITS | address)]
                whole += before
            after = starts.pop(address + whole, 0)
            if after:
                del ends[address + whole + after]
                del free[bisect_left(free, after << _BITS | address + whole)]
                whole += after
            insort(free, whole << _BITS | address)
            starts[address] = ends[address + whole] = whole
    return reserved
