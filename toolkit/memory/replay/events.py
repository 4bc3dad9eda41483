"""Allocations and releases in order, in bytes and by block, as the caching allocator has them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from operator import neg
from typing import NamedTuple

from toolkit.memory.replay.pool import in_blocks

Block = int
"""The number of an allocation, from 1; 0 is one of no bytes, which torch asks no allocator for."""

Moves = tuple[int, ...]
"""Events of a stretch that makes its own blocks: `n` makes its block n, from 1, and `-n` releases it."""


class Moved(NamedTuple):
    """Events that come after so many that are `written` one by one, of blocks that follow so many others."""

    place: int
    moves: Moves
    before: int


@dataclass(slots=True)
class Events:
    """Allocations and releases in order: `n` makes block n, of `sizes[n]` bytes, and `-n` releases it.

    What is alike for many layers is not written out: only where it stands, and which blocks it is of.
    """

    sizes: list[int] = field(default_factory=lambda: [0])
    written: list[int] = field(default_factory=list)
    moved: list[Moved] = field(default_factory=list)
    loaded: int = 0  # events by whose end the model is loaded
    settled: int | None = None  # events after which none changes places with another
    block: int = 0  # bytes of the block that may be asked for before the model is loaded

    @property
    def order(self) -> list[int]:
        """All events."""
        order: list[int] = []
        done = 0
        for place, moves, before in self.moved:
            order += self.written[done:place]
            order += [before + move if move > 0 else move - before for move in moves]
            done = place
        order += self.written[done:]
        return order

    @property
    def blocks(self) -> list[int]:
        """The sizes in blocks of 512 bytes, rounded up."""
        return in_blocks(self.sizes)

    def is_loaded(self) -> None:
        """The model is there: what comes from here on is of its passes."""
        self.loaded = self._count()

    def is_settled(self) -> None:
        """What comes from here on comes in this order alone."""
        self.settled = self._count()

    def allocate(self, size: int) -> Block:
        """Adds an allocation."""
        if not size:
            return 0
        block = len(self.sizes)
        self.sizes.append(size)
        self.written.append(block)
        return block

    def allocate_all(self, sizes: Iterable[int]) -> Sequence[Block]:
        """Adds allocations one after the other."""
        sizes = [*sizes]
        if not all(sizes):
            return [self.allocate(size) for size in sizes]
        new = self._numbers(sizes)
        self.written += new
        return new

    def release(self, block: Block) -> None:
        """Ends an allocation."""
        if block:
            self.written.append(-block)

    def release_all(self, blocks: Iterable[Block]) -> None:
        """Ends allocations one after the other."""
        self.written += map(neg, filter(None, blocks))

    def exchange(self, old: Sequence[Block], sizes: Sequence[int]) -> Sequence[Block]:
        """Adds for each old block an allocation of a size, and right after it the old one's end; none has no bytes."""
        new = self._numbers(sizes)
        self.written += chain.from_iterable(zip(new, map(neg, old), strict=True))
        return new

    def move(self, moves: Moves, before: Block) -> None:
        """Adds the events of a stretch, whose blocks follow so many others."""
        self.moved.append(Moved(len(self.written), moves, before))

    def _count(self) -> int:
        """How many events there are."""
        return len(self.written) + sum(len(one.moves) for one in self.moved)

    def _numbers(self, sizes: Sequence[int]) -> range:
        """The numbers of new blocks of so many bytes."""
        before = len(self.sizes)
        self.sizes += sizes
        return range(before, before + len(sizes))
