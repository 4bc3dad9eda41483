"""What the caching allocator reserves for events, in each order in which they may come."""

from __future__ import annotations

import marshal
from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b
from itertools import compress

from toolkit.memory.allocator import MIN_BLOCK
from toolkit.memory.device import Interval
from toolkit.memory.replay.events import Events
from toolkit.memory.replay.pool import MOST_SMALL, pool_reserved

Order = Sequence[int]

REMEMBERED = 4096

_KNOWN: dict[bytes, Interval] = {}
"""What was reserved for requests, by a digest of them: runs of other dtypes or versions often ask for the same."""


def reserved(events: Events, *, warms: bool = False, swaps: bool = True, limit: int | None = None) -> Interval:
    """The least and the most over the orders; `warms`: and over both ways to load a model.

    Beyond a `limit` in bytes no order is followed: where there is more, what is returned is something above it.

    A formula does not know whether a tensor goes just before or just after the next is made: when Python lets go of a
    name, when a kernel asks for scratch. With `swaps`, each release is also put behind an allocation that follows it,
    and before one that precedes it. Requests of up to 1 MiB have a pool of their own and are replayed once.
    """
    wanted = events.blocks
    large, small = events.large, events.small
    loaded = events.pools.count(1, 0, events.loaded)

    def of_large() -> Interval:
        found = [pool_reserved(wanted, large, most=limit)]
        found += [pool_reserved(wanted, order, most=limit) for order in (_swapped(large, loaded) if swaps else ())]
        if warms:
            # transformers asks for a block of the whole size and gives it back before it loads
            # (caching_allocator_warmup).
            block = sum(events.sizes[event] for event in large[:loaded] if event > 0)
            found.append(pool_reserved(wanted, large, block, most=limit))
        return min(found), max(found)

    def of_small() -> Interval:
        found = pool_reserved(wanted, small, small=True)
        return found, found

    how = loaded, warms, swaps, limit or 0
    low, high = _once(of_large, how, filter(MOST_SMALL.__lt__, wanted), large)
    more, _ = _once(of_small, (), filter(MOST_SMALL.__ge__, wanted), small)
    return low + more, high + more


def peak(events: Events) -> int:
    """The most that is alive at once, each block rounded up to 512 bytes."""
    return MIN_BLOCK * events.most


def _once(work: Callable[[], Interval], how: tuple[int, ...], sizes: Iterator[int], order: Order) -> Interval:
    """What is worked out for blocks of these sizes in this order; once for all that are the same."""
    asked: list[Sequence[int]] = [how, [*sizes], order]
    key = blake2b(marshal.dumps(asked, 2), digest_size=32).digest()  # version 2: no references to what came before
    known = _KNOWN.get(key)
    if known is None:
        if len(_KNOWN) >= REMEMBERED:
            _KNOWN.clear()
        known = _KNOWN[key] = work()
    return known


def _swapped(order: Order, loaded: int) -> tuple[list[int], list[int]]:
    """Once every release behind the allocation after it, and once before the one that precedes it."""
    late, early = list(order), list(order)
    length = len(order)
    # One byte for each event, all in one number: all neighbours are compared at once.
    allocates = int.from_bytes(bytes(map((0).__lt__, order)), "little")
    following = allocates >> 8
    rises = (following & ~allocates).to_bytes(length, "little")
    falls = (allocates & ~following).to_bytes(length, "little")
    for place in compress(range(loaded, length - 1), rises[loaded:]):
        late[place], late[place + 1] = order[place + 1], order[place]
    for place in compress(range(loaded, length - 1), falls[loaded:]):
        if order[place] != -order[place + 1]:
            early[place], early[place + 1] = order[place + 1], order[place]
    return late, early
