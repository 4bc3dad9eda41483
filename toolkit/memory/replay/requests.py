"""The requests of one pool, and how they are replayed: in Python, unless replays are compiled."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, compress
from operator import not_
from typing import NamedTuple, Protocol

from toolkit.memory.device import Interval
from toolkit.memory.replay.events import Events
from toolkit.memory.replay.expandable_pool import expandable_pool_reserved
from toolkit.memory.replay.pool import MOST_SMALL, replay_pool

Order = Sequence[int]


class How(NamedTuple):
    """How requests are replayed.

    With `swaps`, releases also change places after the first `loaded` events, and before event `settled` (None: to the
    end). With `warm` bytes, requests are also replayed with these reserved first. Beyond a `limit` in bytes nothing is
    followed.
    """

    loaded: int = 0
    swaps: bool = False
    warm: int = 0
    limit: int | None = None
    settled: int | None = None


class Replayed(NamedTuple):
    """The least and the most bytes that a pool reserves over the orders; and the most that torch counts of both pools.

    That is of the events as they are written: loaded tensor by tensor, and `counted_warm` after a block for all.
    """

    reserved: Interval
    counted: int
    counted_warm: int


class Pool(Protocol):
    """The requests of one pool, ready to be replayed."""

    def replayed(self, how: How) -> Replayed:
        """What is reserved over the orders, and counted in the first."""


class PlainPool:
    """The requests of a pool as lists; `wanted` has their sizes in blocks of 512 bytes.

    `alive` has for each event how many of both pools are alive until the next; none while the model is loaded.
    """

    def __init__(self, wanted: Sequence[int], order: Order, alive: Sequence[int] = (), *, small: bool) -> None:
        self._wanted = wanted
        self._order = order
        self._alive = alive
        self._small = small

    def replayed(self, how: How) -> Replayed:
        """What is reserved over the orders, and counted in the first."""
        orders = swapped(self._order, how.loaded, how.settled) if how.swaps else ()
        found = [replay_pool(self._wanted, order, small=self._small, most=how.limit)[0] for order in orders]
        as_written = [
            replay_pool(self._wanted, self._order, warm, small=self._small, most=how.limit, alive=self._alive)
            for warm in (0, *((how.warm,) if how.warm else ()))
        ]
        found += [blocks for blocks, _ in as_written]
        return Replayed((min(found), max(found)), as_written[0][1], as_written[-1][1])


class ExpandablePool:
    """The requests of a pool whose segment grows, as lists; `wanted` has their sizes in blocks of 512 bytes.

    All that a block has more than was asked for is split off: torch counts nothing else than what is alive.
    """

    def __init__(self, wanted: Sequence[int], order: Order, *, small: bool) -> None:
        self._wanted = wanted
        self._order = order
        self._small = small

    def replayed(self, how: How) -> Replayed:
        """What is reserved over the orders."""
        orders = swapped(self._order, how.loaded, how.settled) if how.swaps else ()
        asked = [(order, 0) for order in (*orders, self._order)]
        asked += [(self._order, how.warm)] if how.warm else []
        found = [
            expandable_pool_reserved(self._wanted, order, warm, small=self._small, most=how.limit)
            for order, warm in asked
        ]
        return Replayed((min(found), max(found)), 0, 0)


class Requests(NamedTuple):
    """The requests of a run: of `large` blocks and of `small` ones, which have separate pools.

    The first `loaded` events of large blocks load the model; after the first `settled` ones none changes places. `most`
    is the peak of what is alive, in blocks of 512 bytes; `largest` is the largest request, in bytes.
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
    alive: list[int] = []
    for place, (large, now) in enumerate(zip(is_large, accumulate(taken), strict=True), 1):
        if large:
            alive.append(now)
        elif alive and now > alive[-1]:
            alive[-1] = now
        if alive and place == events.loaded < len(order):
            alive = [0] * (len(alive) - 1) + [now]  # what there was while the model was loaded is no part of its peaks
    of_large, of_small = [*compress(order, is_large)], [*compress(order, is_small)]
    pools: tuple[Pool, Pool]
    if events.grows:
        pools = ExpandablePool(blocks, of_large, small=False), ExpandablePool(blocks, of_small, small=True)
    else:
        pools = PlainPool(blocks, of_large, alive, small=False), PlainPool(blocks, of_small, small=True)
    settled = sum(is_large[: events.settled])
    return Requests(pools[0], pools[1], len(loaded), settled, max(accumulate(taken, initial=0)), max(events.sizes))


def swapped(order: Order, loaded: int, settled: int | None = None) -> tuple[list[int], list[int]]:
    """The orders with every release moved behind the allocation after it, and before the one that precedes it."""
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
