"""CUDA's caching allocator with `expandable_segments:True`: a segment for each pool of a stream, which grows.

The rules are those of `c10/cuda/CUDACachingAllocator.cpp` (ExpandableSegment, try_allocate_expandable_block, map_block,
unmap_block): memory is mapped in units of 2 MiB for requests up to 1 MiB and of 20 MiB for larger ones, at the lowest
address that has room; every rest from 512 B on is split off; a full card gets back every unit that is wholly free.
"""

from __future__ import annotations

from toolkit.memory.allocator.caching import (
    LARGE_SEGMENT,
    MIN_BLOCK,
    SMALL_SEGMENT,
    Block,
    CachingAllocator,
    Pool,
    join,
    split,
)

ADDRESS_SPACE = 1 << 50
"""More than any card has: PyTorch reserves an eighth more addresses than the card has bytes."""


class ExpandableAllocator(CachingAllocator):
    """The allocator of one GPU with expandable segments, without memory."""

    def __init__(self, capacity: int | None = None) -> None:
        super().__init__(capacity)
        self._heads: dict[int, Block] = {}

    def pool(self, stream: int, *, small: bool) -> Pool:
        """The free blocks of a stream and a size, with address space of their own."""
        pool = super().pool(stream, small=small)
        if id(pool) not in self._heads:
            start = len(self._heads) * ADDRESS_SPACE
            self._heads[id(pool)] = Block(start, ADDRESS_SPACE, small, mapped=False, stream=stream)
        return pool

    def found(self, pool: Pool, rounded: int) -> Block | None:
        """Best fit, where a block that can grow counts with all that it can grow to."""
        fitting = pool.fitting(rounded)
        best = next(fitting, None)
        for block in fitting:
            if best is None or _reach(block) >= _reach(best):
                break
            best = block
        return best

    def splits(self, block: Block, size: int) -> bool:
        """Whether the rest of a block goes back to its pool: whenever there is one."""
        return block.size - size >= MIN_BLOCK

    def grown(self, pool: Pool, rounded: int) -> Block:
        """A block at the lowest address that has room, with memory behind it. Raises CardFullError."""
        block = self._with_memory(pool, rounded)
        if block is None:
            self.retries += 1
            self.empty_cache()
            block = self._with_memory(pool, rounded)
        if block is None:
            start = self._lowest(pool, rounded)
            missing = rounded - (start.size if start.mapped else 0)
            raise self.full(rounded, _units(missing, start.small))
        pool.remove(block)
        return block

    def empty_cache(self) -> None:
        """Returns every unit that is wholly free to the card."""
        for pool in self.pools.values():
            for block in list(pool.blocks.values()):
                self._unmap(pool, block)

    def _with_memory(self, pool: Pool, rounded: int) -> Block | None:
        """A free block of that size, mapped as far as needed; None where the card is full."""
        block = self._lowest(pool, rounded)
        if not block.mapped:
            mapped = self._map(pool, block, min(block.size, rounded))
            if mapped is None:
                return None
            block = mapped
        while block.size < rounded:
            assert block.after is not None, "there is always address space"
            mapped = self._map(pool, block.after, min(block.after.size, rounded - block.size))
            if mapped is None:
                return None
            block = mapped
        return block

    def _lowest(self, pool: Pool, rounded: int) -> Block:
        """The lowest block that is not mapped, or the free one before it, with room for a request in what follows."""
        block: Block | None = self._heads[id(pool)]
        while block is not None:
            if not block.mapped:
                start = block.before if block.before is not None and block.before.free else block
                if _room(start, rounded):
                    return start
            block = block.after
        raise AssertionError("there is always address space")

    def _map(self, pool: Pool, block: Block, size: int) -> Block | None:
        """Puts memory behind the start of a block; it joins free neighbours. None where the card is full."""
        size = min(_units(size, block.small), block.size)
        if self.is_full(size):
            return None
        if size < block.size:
            rest = split(block, size)
            rest.mapped = rest.free = False
        self.reserved += size
        self.peak_reserved = max(self.peak_reserved, self.reserved)
        block.mapped = block.free = True
        return self._joined(pool, block)

    def _joined(self, pool: Pool, block: Block) -> Block:
        if block.before is not None and block.before.free:
            pool.remove(block.before)
            block = join(block.before, block)
        if block.after is not None and block.after.free:
            pool.remove(block.after)
            block = join(block, block.after)
        pool.add(block)
        return block

    def _unmap(self, pool: Pool, block: Block) -> None:
        """Takes the memory from whole units of a free block."""
        unit = SMALL_SEGMENT if block.small else LARGE_SEGMENT
        base = self._heads[id(pool)].address
        first = base + -(-(block.address - base) // unit) * unit
        end = base + (block.address + block.size - base) // unit * unit
        if first >= end:
            return
        pool.remove(block)
        if first > block.address:
            rest = split(block, first - block.address)
            pool.add(block)
            block = rest
        if end < block.address + block.size:
            pool.add(split(block, end - block.address))
        self.reserved -= block.size
        block.mapped = block.free = False
        if block.before is not None and not block.before.mapped:
            block = join(block.before, block)
        if block.after is not None and not block.after.mapped:
            join(block, block.after)


def _reach(block: Block) -> int:
    """How large a block can grow."""
    after = block.after
    return block.size + (after.size if after is not None and not after.mapped else 0)


def _room(start: Block, size: int) -> bool:
    block: Block | None = start
    room = 0
    while block is not None and room < size and (block.free or not block.mapped):
        room += block.size
        block = block.after
    return room >= size


def _units(size: int, small: bool) -> int:
    unit = SMALL_SEGMENT if small else LARGE_SEGMENT
    return -(-size // unit) * unit
