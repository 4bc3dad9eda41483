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
    """Events that come after so many that are `written` one by one, of blocks that follow so many others.

    The first so many numbers are of a stretch that it is `linked` to, whose blocks follow `links` others.
    """

    place: int
    moves: Moves
    before: int
    linked: int = 0
    links: int = 0

    @property
    def events(self) -> list[int]:
        """The events, by the numbers of their blocks."""
        linked, links, before = self.linked, self.links, self.before - self.linked
        if not linked:
            return [move + before if move > 0 else move - before for move in self.moves]
        blocks = [number + (links if number <= linked else before) for number in map(abs, self.moves)]
        return [block if move > 0 else -block for move, block in zip(self.moves, blocks, strict=True)]


class Mark(NamedTuple):
    """A place in events, by what is there before it: so many blocks, events that are written one by one, and others."""

    blocks: int
    written: int
    moved: int


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
        return self.since(Mark(0, 0, 0))

    def mark(self) -> Mark:
        """Where the next event comes."""
        return Mark(len(self.sizes) - 1, len(self.written), len(self.moved))

    def since(self, start: Mark) -> list[int]:
        """All events from a mark on."""
        order: list[int] = []
        done = start.written
        for one in self.moved[start.moved :]:
            order += self.written[done : one.place]
            order += one.events
            done = one.place
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

    def move(self, moves: Moves, before: Block, linked: int = 0, links: Block = 0) -> None:
        """Adds the events of a stretch, whose blocks follow so many others; the first so many are of an earlier one."""
        self.moved.append(Moved(len(self.written), moves, before, linked, links))

    def _count(self) -> int:
        """How many events there are."""
        return len(self.written) + sum(len(one.moves) for one in self.moved)

    def _numbers(self, sizes: Sequence[int]) -> range:
        """The numbers of new blocks of so many bytes."""
        before = len(self.sizes)
        self.sizes += sizes
        return range(before, before + len(sizes))
