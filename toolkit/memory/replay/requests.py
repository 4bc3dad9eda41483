"""The requests of one pool, and how they are replayed: by Python, where nothing faster is there."""

from __future__ import annotations

import marshal
from collections.abc import Sequence
from hashlib import blake2b
from itertools import accumulate, compress
from operator import not_
from typing import NamedTuple, Protocol

from toolkit.memory.device import Interval
from toolkit.memory.replay.events import Events
from toolkit.memory.replay.pool import MOST_SMALL, pool_reserved

Order = Sequence[int]


class How(NamedTuple):
    """How requests are replayed: also with releases that change places after so many `loaded` events, where it `swaps`.

    But not after so many that are `settled`, None for all. And, where there are `warm` bytes, also with them there
    first. Beyond a `limit` in bytes nothing is followed.
    """

    loaded: int = 0
    swaps: bool = False
    warm: int = 0
    limit: int | None = None
    settled: int | None = None


class Pool(Protocol):
    """The requests of one pool, ready to be replayed."""

    def digest(self, how: How) -> bytes:
        """What is alike for requests that are."""

    def reserved(self, how: How) -> Interval:
        """The least and the most bytes that are reserved over the orders."""


class PlainPool:
    """The requests of a pool, of which `wanted` has the blocks of 512 bytes, as lists."""

    def __init__(self, wanted: Sequence[int], order: Order, *, small: bool) -> None:
        self._wanted = wanted
        self._order = order
        self._small = small

    def digest(self, how: How) -> bytes:
        """What is alike for requests that are."""
        is_mine = MOST_SMALL.__ge__ if self._small else MOST_SMALL.__lt__
        asked = [tuple(how), [*filter(is_mine, self._wanted)], self._order]
        return blake2b(marshal.dumps(asked, 2), digest_size=32).digest()  # version 2: no references to what came before

    def reserved(self, how: How) -> Interval:
        """The least and the most bytes that are reserved over the orders."""
        orders = (self._order, *(swapped(self._order, how.loaded, how.settled) if how.swaps else ()))
        found = [pool_reserved(self._wanted, order, small=self._small, most=how.limit) for order in orders]
        if how.warm:
            found.append(pool_reserved(self._wanted, self._order, how.warm, small=self._small, most=how.limit))
        return min(found), max(found)


class Requests(NamedTuple):
    """The requests of a run: of `large` blocks and of `small` ones, which have pools of their own.

    So many events of large blocks load the model; after so many that are `settled` none changes places. In blocks of
    512 bytes, so many are alive at `most`. The `largest` is in bytes.
    """

    large: Pool
    small: Pool
    loaded: int
    settled: int
    most: int
    largest: int


def plain_requests(events: Events) -> Requests:
    """The requests of a run, as lists."""
    blocks, order = events.blocks, events.order
    taken = [blocks[event] if event > 0 else -blocks[-event] for event in order]
    is_small = [-MOST_SMALL <= size <= MOST_SMALL for size in taken]
    is_large = [*map(not_, is_small)]
    loaded = [*compress(order[: events.loaded], is_large)]
    return Requests(
        PlainPool(blocks, [*compress(order, is_large)], small=False),
        PlainPool(blocks, [*compress(order, is_small)], small=True),
        len(loaded),
        sum(is_large[: events.settled]),
        max(accumulate(taken, initial=0)),
        max(events.sizes),
    )


def swapped(order: Order, loaded: int, settled: int | None = None) -> tuple[list[int], list[int]]:
    """Once every release behind the allocation after it, and once before the one that precedes it."""
    late, early = list(order), list(order)
    length = len(order)
    last = (length if settled is None else min(settled, length)) - 1
    # One byte for each event, all in one number: all neighbours are compared at once.
    allocates = int.from_bytes(bytes(map((0).__lt__, order)), "little")
    following = allocates >> 8
    rises = (following & ~allocates).to_bytes(length, "little")
    falls = (allocates & ~following).to_bytes(length, "little")
    for place in compress(range(loaded, last), rises[loaded:]):
        late[place], late[place + 1] = order[place + 1], order[place]
    for place in compress(range(loaded, last), falls[loaded:]):
        if order[place] != -order[place + 1]:
            early[place], early[place + 1] = order[place + 1], order[place]
    return late, early
