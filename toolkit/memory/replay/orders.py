"""What the caching allocator reserves for events, in each order in which they may come."""

from __future__ import annotations

import marshal
from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b
from itertools import accumulate, compress

from toolkit.memory.allocator import MIN_BLOCK, SMALL_REQUEST
from toolkit.memory.device import Interval
from toolkit.memory.replay.pool import in_blocks, pool_reserved
from toolkit.memory.replay.writer import Events

Order = Sequence[int]

REMEMBERED = 4096

_KNOWN: dict[bytes, Interval] = {}
"""What was reserved for requests, by a digest of them: runs of other dtypes or versions often ask for the same."""


def reserved(events: Events, *, warms: bool = False, swaps: bool = True) -> Interval:
    """The least and the most over the orders; `warms`: and over both ways to load a model.

    A formula does not know whether a tensor goes just before or just after the next is made: when Python lets go of a
    name, when a kernel asks for scratch. With `swaps`, each release is also put behind an allocation that follows it,
    and before one that precedes it. Requests of up to 1 MiB have a pool of their own and are replayed once.
    """
    wanted = in_blocks(events.sizes)
    is_large = [size > SMALL_REQUEST for size in events.sizes]
    is_small = [not large for large in is_large]
    large, small = _those_of(events.order, is_large), _those_of(events.order, is_small)
    loaded = len(_those_of(events.order[: events.loaded], is_large))

    def of_large() -> Interval:
        found = [pool_reserved(wanted, order) for order in (large, *(_swapped(large, loaded) if swaps else ()))]
        if warms:
            # transformers asks for a block of the whole size and gives it back before it loads
            # (caching_allocator_warmup).
            block = sum(events.sizes[event] for event in large[:loaded] if event > 0)
            found.append(pool_reserved(wanted, large, block))
        return min(found), max(found)

    def of_small() -> Interval:
        found = pool_reserved(wanted, small, small=True)
        return found, found

    low, high = _once(of_large, (loaded, warms, swaps), compress(wanted, is_large), large)
    more, _ = _once(of_small, (), compress(wanted, is_small), small)
    return low + more, high + more


def peak(events: Events) -> int:
    """The most that is alive at once, each block rounded up to 512 bytes."""
    counted = in_blocks(events.sizes)
    changes = counted + [-size for size in counted[:0:-1]]  # a release is an index from the end
    return MIN_BLOCK * max(accumulate([changes[event] for event in events.order]), default=0)


def _those_of(order: Order, chosen: list[bool]) -> list[int]:
    """The events of chosen blocks."""
    chosen = chosen + chosen[:0:-1]  # a release is an index from the end
    return [event for event in order if chosen[event]]


def _once(work: Callable[[], Interval], how: tuple[int, ...], sizes: Iterator[int], order: Order) -> Interval:
    """What is worked out for blocks of these sizes in this order; once for all that are the same."""
    asked: list[tuple[int, ...]] = [how, tuple(sizes), tuple(order)]
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
    before = 0
    for place, event in enumerate(order[loaded:], loaded):
        if before < 0 < event:
            late[place - 1], late[place] = event, before
        elif event < 0 < before and event != -before:
            early[place - 1], early[place] = event, before
        before = event
    return late, early
