"""Allocations and releases in order, in bytes and by block, as the caching allocator has them."""

from __future__ import annotations

import marshal
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
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


# A run has them by the thousand: this leaves out the unpacking that a call of Moved would do.
_MOVED = tuple.__new__


class Outline(NamedTuple):
    """Events with each stretch written out once, however often it comes: all that their replay follows from.

    `apart` are the sizes of blocks that were made one by one. Of each stretch of others, in order: how many of these
    are before it (`after`), and `which` of the distinct `sizes` it has. `written` are events one by one; of each
    stretch of others as in `Moved`: where it comes (`places`), which of the distinct `moves` it has (`moving`), and
    which blocks it is of (`before`, `linked`, `links`).
    """

    apart: list[int]
    after: list[int]
    which: list[int]
    sizes: list[Sequence[int]]
    written: list[int]
    places: list[int]
    moving: list[int]
    moves: list[Sequence[int]]
    before: list[int]
    linked: list[int]
    links: list[int]
    loaded: int
    settled: int | None
    block: int
    grows: bool

    def digest(self, *how: int | None) -> bytes:
        """What events have in common that are alike, if they are replayed alike."""
        return blake2b(marshal.dumps((*self, *how), 2), digest_size=32).digest()  # 2: no references to what came before


class Mark(NamedTuple):
    """A place in events, by what is there before it: so many blocks, events that are written one by one, and others."""

    blocks: int
    written: int
    moved: int


@dataclass(slots=True)
class Events:
    """Allocations and releases in order: `n` makes block n, of `sizes[n]` bytes, and `-n` releases it.

    What is alike for many layers is not written out: only where it stands, and which blocks it is of. `made` are sizes
    that came together, after so many blocks.
    """

    sizes: list[int] = field(default_factory=lambda: [0])
    written: list[int] = field(default_factory=list)
    moved: list[Moved] = field(default_factory=list)
    made: list[tuple[int, Sequence[int]]] = field(default_factory=list, compare=False)
    loaded: int = 0  # events by whose end the model is loaded
    settled: int | None = None  # events after which none changes places with another
    block: int = 0  # bytes of the block that may be asked for before the model is loaded
    grows: bool = False  # whether segments are expandable

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

    def outline(self) -> Outline:
        """The same with each stretch once."""
        apart: list[int] = []
        after: list[int] = []
        done = 0
        for before, together in self.made:
            apart += self.sizes[done : before + 1]
            after.append(len(apart))
            done = before + 1 + len(together)
        apart += self.sizes[done:]
        which, sizes = _distinct([together for _, together in self.made])
        places = [one.place for one in self.moved]
        moving, moves = _distinct([one.moves for one in self.moved])
        follows = [one.before for one in self.moved]
        linked, links = [one.linked for one in self.moved], [one.links for one in self.moved]
        marks = self.loaded, self.settled, self.block, self.grows
        return Outline(apart, after, which, sizes, self.written, places, moving, moves, follows, linked, links, *marks)

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

    def make(self, sizes: Sequence[int]) -> Block:
        """Adds blocks of a stretch, whose sizes stay as they are; returns how many there were before."""
        before = len(self.sizes) - 1
        if sizes:
            self.sizes += sizes
            self.made.append((before, sizes))
        return before

    def move(self, moves: Moves, before: Block, linked: int = 0, links: Block = 0) -> None:
        """Adds the events of a stretch, whose blocks follow so many others; the first so many are of an earlier one."""
        self.moved.append(_MOVED(Moved, (len(self.written), moves, before, linked, links)))

    def _count(self) -> int:
        """How many events there are."""
        return len(self.written) + sum(len(one.moves) for one in self.moved)

    def _numbers(self, sizes: Sequence[int]) -> range:
        """The numbers of new blocks of so many bytes."""
        before = len(self.sizes)
        self.sizes += sizes
        return range(before, before + len(sizes))


def _distinct(stretches: Sequence[Sequence[int]]) -> tuple[list[int], list[Sequence[int]]]:
    """Which of the distinct stretches each one is, and these."""
    distinct = {id(one): one for one in stretches}
    numbers = {one: number for number, one in enumerate(distinct)}
    return [numbers[id(one)] for one in stretches], [*distinct.values()]
