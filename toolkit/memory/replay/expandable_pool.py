"""A pool of CUDA's caching allocator with `expandable_segments:True`, replayed for events that are all known.

The rules are those of toolkit.memory.allocator.expandable, on a card of unlimited memory: nothing is given back, so
that memory is mapped from the start of the pool's addresses to one place, behind which there is none yet.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence

from toolkit.memory.allocator.caching import LARGE_SEGMENT, MIN_BLOCK, SMALL_SEGMENT


class _Free:
    """The free blocks by their size and address, their `sizes` by address and their `starts` by the address of the end.

    Sizes and addresses count blocks of 512 bytes. No two free blocks are neighbours.
    """

    def __init__(self) -> None:
        self.by_size: list[tuple[int, int]] = []
        self.sizes: dict[int, int] = {}
        self.starts: dict[int, int] = {}

    def add(self, start: int, size: int) -> None:
        """Adds a block, joined with its neighbours."""
        if start in self.starts:
            start = self.starts[start]
            size += self.remove(start)
        if start + size in self.sizes:
            size += self.remove(start + size)
        self.sizes[start] = size
        self.starts[start + size] = start
        insort(self.by_size, (size, start))

    def remove(self, start: int) -> int:
        """Takes a block away, and returns its size."""
        size = self.sizes.pop(start)
        del self.starts[start + size]
        del self.by_size[bisect_left(self.by_size, (size, start))]
        return size

    def fitting(self, want: int, end: int) -> int | None:
        """The start of the smallest block with room; that before the `end` counts with all that it can grow to."""
        place = bisect_left(self.by_size, (want, 0))
        if place < len(self.by_size) - 1 and sum(self.by_size[place]) == end:
            place += 1
        return self.by_size[place][1] if place < len(self.by_size) else None


def expandable_pool_reserved(
    wanted: Sequence[int], order: Sequence[int], warm: int = 0, *, small: bool = False, most: int | None = None
) -> int:
    """The most bytes that are reserved for requests above 1 MiB, or for `small` ones.

    Events are those of toolkit.memory.replay.pool.replay_pool: `n` in the order allocates block n, whose size is in
    blocks of 512 bytes, and `-n` frees it. `warm` bytes exist first, as one free block. The replay ends once more than
    `most` bytes are reserved. What a block has more than was asked for is always split off.
    """
    unit = (SMALL_SEGMENT if small else LARGE_SEGMENT) // MIN_BLOCK
    limit = float("inf") if most is None else most // MIN_BLOCK
    free, starts = _Free(), [0] * len(wanted)
    end = -(-warm // (unit * MIN_BLOCK)) * unit
    if end:
        free.add(0, end)
    for event in order:
        if event < 0:
            free.add(starts[-event], wanted[-event])
            continue
        want = wanted[event]
        start = free.fitting(want, end)
        if start is None:  # memory is mapped behind what is free before the end
            start = free.starts.get(end, end)
            end += -(-(want - (end - start)) // unit) * unit
            if end > limit:
                break
            size = end - start
            if start in free.sizes:
                free.remove(start)
        else:
            size = free.remove(start)
        if size > want:
            free.add(start + want, size - want)
        starts[event] = start
    return end * MIN_BLOCK
