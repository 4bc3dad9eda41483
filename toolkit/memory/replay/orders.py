"""What the caching allocator reserves for events, over the orders in which they may come."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from toolkit.memory.allocator.caching import MIN_BLOCK
from toolkit.memory.device import Interval
from toolkit.memory.replay.events import Events, Outline
from toolkit.memory.replay.requests import How, Requests, plain_requests

REMEMBERED = 4096

MANY = 100
"""From so many replays on, it pays to load numba."""

THREADS = "OPENBLAS_NUM_THREADS"

_compiled: Callable[[Outline], Requests | None] | None = None


def compile_replays() -> bool:
    """Compiles replays from here on if numba is installed; loading it pays off only where many wait.

    Returns whether replays are compiled.
    """
    global _compiled  # noqa: PLW0603 - how replays are done, for all who ask
    if _compiled is None:
        try:
            with _one_thread():
                from toolkit.memory.replay.compiled import compiled_requests  # noqa: PLC0415 - see above
        except ImportError:
            return False
        _compiled = compiled_requests
        reserved(Events())  # compiles it, or loads it from the cache, before processes are forked
    return True


@contextmanager
def _one_thread() -> Iterator[None]:
    """Runs without the threads that numpy's OpenBLAS starts when loaded: no process could be forked beside them."""
    before = os.environ.get(THREADS)
    os.environ[THREADS] = "1"
    try:
        yield
    finally:
        del os.environ[THREADS]
        if before is not None:
            os.environ[THREADS] = before


class Followed(NamedTuple):
    """The least and the most reserved over the orders, the peak of what is alive, and the largest request, in bytes.

    `counted` is the most that torch counts once the model is loaded, whole blocks: tensor by tensor, or after a block
    for all weights. It is 0 where no block is of more than 1 MiB.
    """

    reserved: Interval
    alive: int
    largest: int
    counted: Interval


_KNOWN: dict[bytes, Followed] = {}
"""Results by a digest of the events: runs with other dtypes or versions often ask for the same."""


def follow(events: Events, *, warms: bool = False, swaps: bool = True, limit: int | None = None) -> Followed:
    """The least and the most over the orders; with `warms` also over both ways to load a model.

    Beyond a `limit` in bytes no order is followed: where more is reserved, the result is some value above the limit.

    In forward, large tensors come and go in the order of the code, as in traces of it. In backward not all do: a kernel
    requests scratch memory, or a copy is made that no row counts; and published readings of training are up to 4 %
    below what the order of the code reserves, for an unknown reason. So with `swaps` each release is also put behind an
    allocation that follows it, and before one that precedes it, unless their order is settled. Requests of up to 1 MiB
    have a pool of their own and are replayed once.
    """
    outline = events.outline()
    key = outline.digest(warms, swaps, limit)
    known = _KNOWN.get(key)
    if known is None:
        if len(_KNOWN) >= REMEMBERED:
            _KNOWN.clear()
        asked = _requests(events, outline)
        how = How(asked.loaded, swaps, events.block if warms else 0, limit, asked.settled)
        known = _KNOWN[key] = _followed(asked, how)
    return known


def _followed(asked: Requests, how: How) -> Followed:
    large, small = asked.large.replayed(how), asked.small.replayed(How())
    (low, high), (more, _) = large.reserved, small.reserved
    counted = large.counted, large.counted_warm
    return Followed((low + more, high + more), MIN_BLOCK * asked.most, asked.largest, counted)


def reserved(events: Events, *, warms: bool = False, swaps: bool = True, limit: int | None = None) -> Interval:
    """Only what is reserved."""
    return follow(events, warms=warms, swaps=swaps, limit=limit).reserved


def peak(events: Events) -> int:
    """The peak of what is alive, each block rounded up to 512 bytes."""
    return MIN_BLOCK * _requests(events, events.outline()).most


def _requests(events: Events, outline: Outline) -> Requests:
    return (_compiled and _compiled(outline)) or plain_requests(events)
