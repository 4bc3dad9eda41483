"""Allocations and releases in order, in bytes and by block, as the caching allocator has them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, chain, compress
from operator import neg, not_

from toolkit.memory.allocator import MIN_BLOCK
from toolkit.memory.replay.numbered import Moves
from toolkit.memory.replay.pool import BLOCK_BITS, MOST_SMALL, in_blocks

Block = int
"""The number of an allocation, from 1; 0 is one of no bytes, which torch asks no allocator for."""


@dataclass(slots=True)
class Events:
    """Allocations and releases in order: `n` makes block n, of `sizes[n]` bytes, and `-n` releases it.

    They are written by pool, as the allocator has them: those of `large` blocks, and those of `small` ones. `pools` has
    a byte for each event, 1 where it is of a large block. `blocks` are the sizes in blocks of 512 bytes, rounded up, of
    which so many are `alive` now and were at `most`.
    """

    sizes: list[int] = field(default_factory=lambda: [0])
    blocks: list[int] = field(default_factory=lambda: [0])
    large: list[int] = field(default_factory=list)
    small: list[int] = field(default_factory=list)
    pools: bytearray = field(default_factory=bytearray)
    alive: int = 0
    most: int = 0
    loaded: int = 0  # events by whose end the model is loaded

    @property
    def order(self) -> list[int]:
        """The events of both pools."""
        turns = iter(self.small), iter(self.large)
        return [next(turns[pool]) for pool in self.pools]

    def allocate(self, size: int) -> Block:
        """Adds an allocation."""
        if not size:
            return 0
        block, taken = len(self.sizes), size + MIN_BLOCK - 1 >> BLOCK_BITS
        self.sizes.append(size)
        self.blocks.append(taken)
        is_large = taken > MOST_SMALL
        (self.large if is_large else self.small).append(block)
        self.pools.append(is_large)
        self.alive += taken
        if self.alive > self.most:
            self.most = self.alive
        return block

    def allocate_all(self, sizes: Iterable[int]) -> Sequence[Block]:
        """Adds allocations one after the other."""
        sizes = [*sizes]
        if not all(sizes):
            return [self.allocate(size) for size in sizes]
        taken = in_blocks(sizes)
        new = self._numbers(sizes, taken)
        is_large = [*map(MOST_SMALL.__lt__, taken)]
        self.large += compress(new, is_large)
        self.small += compress(new, map(not_, is_large))
        self.pools += bytes(is_large)
        self.alive += sum(taken)
        self.most = max(self.most, self.alive)
        return new

    def release(self, block: Block) -> None:
        """Ends an allocation."""
        if block:
            taken = self.blocks[block]
            is_large = taken > MOST_SMALL
            (self.large if is_large else self.small).append(-block)
            self.pools.append(is_large)
            self.alive -= taken

    def release_all(self, blocks: Iterable[Block]) -> None:
        """Ends allocations one after the other."""
        blocks = [*filter(None, blocks)]
        taken = [*map(self.blocks.__getitem__, blocks)]
        is_large = [*map(MOST_SMALL.__lt__, taken)]
        self.large += map(neg, compress(blocks, is_large))
        self.small += map(neg, compress(blocks, map(not_, is_large)))
        self.pools += bytes(is_large)
        self.alive -= sum(taken)

    def exchange(self, old: Sequence[Block], sizes: Sequence[int]) -> Sequence[Block]:
        """Adds for each old block an allocation of a size, and right after it the old one's end."""
        before = [*map(self.blocks.__getitem__, old)]
        taken = in_blocks(sizes)
        if min((*taken, *before), default=0) <= MOST_SMALL:
            return [self._exchanged(block, size) for block, size in zip(old, sizes, strict=True)]
        new = self._numbers(sizes, taken)
        self.large += chain.from_iterable(zip(new, map(neg, old), strict=True))
        self.pools += bytes([True]) * (2 * len(old))
        changes = chain.from_iterable(zip(taken, map(neg, before), strict=True))
        alive = [*accumulate(changes, initial=self.alive)]
        self.most = max(self.most, *alive)
        self.alive = alive[-1]
        return new

    def _exchanged(self, old: Block, size: int) -> Block:
        new = self.allocate(size)
        self.release(old)
        return new

    def _numbers(self, sizes: Sequence[int], taken: Sequence[int]) -> range:
        """The numbers of new blocks of so many bytes, which take so many blocks of 512."""
        before = len(self.sizes)
        self.sizes += sizes
        self.blocks += taken
        return range(before, before + len(sizes))

    def move(self, moves: Moves, numbers: Sequence[int]) -> None:
        """Adds the events of a part of a pass, whose blocks have these numbers."""
        self.large += map(numbers.__getitem__, moves.large)
        self.small += map(numbers.__getitem__, moves.small)
        self.pools += moves.pools
        self.most = max(self.most, self.alive + moves.most)
        self.alive += moves.more
