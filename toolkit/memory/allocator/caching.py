"""CUDA's caching allocator, replayed: what it reserves for a sequence of allocations and frees.

The rules are those of PyTorch's `c10/cuda/CUDACachingAllocator.cpp` (read at 2.9 to 2.13, where they are the same) with
its default settings: sizes rounded up to 512 B, a pool for requests up to 1 MiB and one for larger ones, best fit among
the free blocks of the stream that asks, splitting, joining of neighbours within a segment, and the release of segments
that are wholly free when the card is full.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import dataclass, field

MIN_BLOCK = 512
SMALL_REQUEST = 1 << 20
SMALL_SEGMENT = 2 << 20
LARGE_SEGMENT = 20 << 20
OWN_SEGMENT_FROM = 10 << 20
SEGMENT_UNIT = 2 << 20


class CardFullError(Exception):
    """A request that the card cannot hold, whatever is released: it needs `needed` bytes and has `capacity`.

    `at` is the operation that asks, where a timeline is replayed.
    """

    def __init__(self, size: int, needed: int, capacity: int) -> None:
        super().__init__(f"{size:,} bytes more: {needed:,} bytes are needed and the card has {capacity:,}")
        self.size = size
        self.needed = needed
        self.capacity = capacity
        self.at = ""


@dataclass(slots=True, eq=False)
class Block:
    """A piece of a segment: in use, or free for a request of its pool. Neighbours are those of the same segment.

    What is not `mapped` is address space of an expandable segment without memory behind it.
    """

    address: int
    size: int
    small: bool
    free: bool = False
    before: Block | None = None
    after: Block | None = None
    mapped: bool = True
    stream: int = 0

    @property
    def whole(self) -> bool:
        """Whether the block is all of its segment."""
        return self.before is None and self.after is None


@dataclass(slots=True)
class Pool:
    """The free blocks of one pool, by size and then by address, as best fit looks for them."""

    order: list[tuple[int, int]] = field(default_factory=list)
    blocks: dict[int, Block] = field(default_factory=dict)

    def add(self, block: Block) -> None:
        """Takes a free block in."""
        insort(self.order, (block.size, block.address))
        self.blocks[block.address] = block

    def remove(self, block: Block) -> None:
        """Gives a block out."""
        del self.order[bisect_left(self.order, (block.size, block.address))]
        del self.blocks[block.address]

    def fitting(self, size: int) -> Iterator[Block]:
        """The blocks that are large enough, smallest first."""
        at = bisect_left(self.order, (size, 0))
        while at < len(self.order):
            yield self.blocks[self.order[at][1]]
            at += 1

    def best_fit(self, size: int) -> Block | None:
        """The smallest block that is large enough, the first of equals."""
        at = bisect_left(self.order, (size, 0))
        return self.blocks[self.order[at][1]] if at < len(self.order) else None


class CachingAllocator:
    """The allocator of one GPU, without memory; `reserved` and `allocated` are as torch counts them.

    `capacity` is what the card can give to segments, in bytes; without one nothing is ever released.
    """

    def __init__(self, capacity: int | None = None) -> None:
        self.capacity = capacity
        self.allocated = 0
        self.reserved = 0
        self.peak_allocated = 0
        self.peak_reserved = 0
        self.retries = 0
        self.pools: dict[tuple[int, bool], Pool] = {}
        self._next_address = 0

    def allocate(self, size: int, stream: int = 0) -> Block:
        """A block of `size` bytes, rounded up to 512, for a stream. Raises CardFullError where there is no room."""
        rounded = max(MIN_BLOCK, -(-size // MIN_BLOCK) * MIN_BLOCK)
        pool = self.pool(stream, small=rounded <= SMALL_REQUEST)
        block = self.found(pool, rounded)
        if block is None:
            block = self.grown(pool, rounded)
            block.stream = stream
        else:
            pool.remove(block)
        block.free = False
        if self.splits(block, rounded):
            pool.add(split(block, rounded))
        self.allocated += block.size
        self.peak_allocated = max(self.peak_allocated, self.allocated)
        return block

    def free(self, block: Block) -> None:
        """Gives a block back; it joins free neighbours of its segment."""
        assert not block.free
        pool = self.pool(block.stream, small=block.small)
        self.allocated -= block.size
        block.free = True
        if block.before is not None and block.before.free:
            pool.remove(block.before)
            block = join(block.before, block)
        if block.after is not None and block.after.free:
            pool.remove(block.after)
            block = join(block, block.after)
        pool.add(block)

    def pool(self, stream: int, *, small: bool) -> Pool:
        """The free blocks of a stream that serve small requests, or large ones."""
        found = self.pools.get((stream, small))
        if found is None:
            found = self.pools[stream, small] = Pool()
        return found

    def empty_cache(self) -> None:
        """Returns every segment that is wholly free to the card (`torch.cuda.empty_cache`)."""
        for pool in self.pools.values():
            for block in [block for block in pool.blocks.values() if block.whole]:
                pool.remove(block)
                self.reserved -= block.size

    def found(self, pool: Pool, rounded: int) -> Block | None:
        """The free block that a request gets; it is still in its pool."""
        return pool.best_fit(rounded)

    def grown(self, pool: Pool, rounded: int) -> Block:  # noqa: ARG002 - expandable segments grow by pool
        """A block for a request that no free block serves, in no pool. Raises CardFullError."""
        size = segment_size(rounded)
        if self.is_full(size):
            self.retries += 1
            self.empty_cache()
            if self.is_full(size):
                raise self.full(rounded, size)
        block = Block(self._next_address, size, rounded <= SMALL_REQUEST)
        self._next_address += size
        self.reserved += size
        self.peak_reserved = max(self.peak_reserved, self.reserved)
        return block

    def splits(self, block: Block, size: int) -> bool:
        """Whether the rest of a block goes back to its pool: from 512 B in the small one, beyond 1 MiB in the large."""
        rest = block.size - size
        return rest >= MIN_BLOCK if block.small else rest > SMALL_REQUEST

    def is_full(self, size: int) -> bool:
        """Whether the card has no room for so many bytes more."""
        return self.capacity is not None and self.reserved + size > self.capacity

    def full(self, rounded: int, size: int) -> CardFullError:
        """What is raised where a request needs so many bytes more than there are."""
        return CardFullError(rounded, self.reserved + size, self.capacity or 0)


def segment_size(rounded: int) -> int:
    """The bytes of the segment that is opened for a request of so many, rounded up to 512."""
    if rounded <= SMALL_REQUEST:
        return SMALL_SEGMENT
    if rounded < OWN_SEGMENT_FROM:
        return LARGE_SEGMENT
    return -(-rounded // SEGMENT_UNIT) * SEGMENT_UNIT


def split(block: Block, size: int) -> Block:
    """Cuts a block to `size` and returns the free rest."""
    rest = Block(
        block.address + size,
        block.size - size,
        block.small,
        free=True,
        before=block,
        after=block.after,
        stream=block.stream,
    )
    if block.after is not None:
        block.after.before = rest
    block.after = rest
    block.size = size
    return rest


def join(first: Block, second: Block) -> Block:
    """Makes one block of two neighbours."""
    first.size += second.size
    first.after = second.after
    if second.after is not None:
        second.after.before = first
    return first
