"""What the caching allocator reserves for events, in each order in which they may come."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate

from toolkit.memory.allocator import MIN_BLOCK, SMALL_REQUEST
from toolkit.memory.device import Interval
from toolkit.memory.replay.pool import pool_reserved
from toolkit.memory.replay.writer import Events

Order = Sequence[int]


def reserved(events: Events, *, warms: bool = False, swaps: bool = True) -> Interval:
    """The least and the most over the orders; `warms`: and over both ways to load a model.

    A formula does not know whether a tensor goes just before or just after the next is made: when Python lets go of a
    name, when a kernel asks for scratch. With `swaps`, each release is also put behind an allocation that follows it,
    and before one that precedes it. Requests of up to 1 MiB have a pool of their own and are replayed once.
    """
    sizes = events.sizes
    is_large = [size > SMALL_REQUEST for size in sizes]
    large = [event for event in events.order if is_large[abs(event)]]
    loaded = sum(is_large[abs(event)] for event in events.order[: events.loaded])
    found = [pool_reserved(sizes, order) for order in (large, *(_swapped(large, loaded) if swaps else ()))]
    if warms:
        # transformers asks for a block of the whole size and gives it back before it loads (caching_allocator_warmup).
        block = sum(sizes[event] for event in large[:loaded] if event > 0)
        found.append(pool_reserved(sizes, large, block))
    small = pool_reserved(sizes, [event for event in events.order if not is_large[abs(event)]], small=True)
    return min(found) + small, max(found) + small


def peak(events: Events) -> int:
    """The most that is alive at once, each block rounded up to 512 bytes."""
    counted = [-(-size // MIN_BLOCK) * MIN_BLOCK for size in events.sizes]
    return max(accumulate(counted[event] if event > 0 else -counted[-event] for event in events.order), default=0)


def _swapped(order: Order, loaded: int) -> Iterator[list[int]]:
    """Once every release behind the allocation after it, and once before the one that precedes it."""
    for late in (True, False):
        new = list(order)
        place = loaded
        while place < len(new) - 1:
            first, second = new[place], new[place + 1]
            if first != -second and (first < 0 < second if late else second < 0 < first):
                new[place], new[place + 1] = second, first
                place += 1
            place += 1
        yield new
