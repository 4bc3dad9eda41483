"""What the caching allocator reserves for events, in each order in which they may come."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from toolkit.memory.allocator.caching import MIN_BLOCK
from toolkit.memory.device import Interval
from toolkit.memory.replay.events import Events
from toolkit.memory.replay.requests import How, Pool, Requests, plain_requests

REMEMBERED = 4096

THREADS = "OPENBLAS_NUM_THREADS"

_KNOWN: dict[bytes, Interval] = {}
"""What was reserved for requests, by a digest of them: runs of other dtypes or versions often ask for the same."""

_compiled: Callable[[Events], Requests | None] | None = None


def compile_replays() -> bool:
    """Replays compiled from here on, where numba is installed: what it takes to load it, only thousands are worth.

    Returns whether they are.
    """
    global _compiled  # noqa: PLW0603 - how replays are done, for all who ask
    if _compiled is None:
        try:
            with _one_thread():
                from toolkit.memory.replay.compiled import compiled_requests  # noqa: PLC0415 - see above
        except ImportError:
            return False
        _compiled = compiled_requests
        reserved(Events())  # compiled, or read from where it is kept, before processes are forked
    return True


@contextmanager
def _one_thread() -> Iterator[None]:
    """Without the threads that numpy's OpenBLAS starts as it is loaded: beside them no process could be forked."""
    before = os.environ.get(THREADS)
    os.environ[THREADS] = "1"
    try:
        yield
    finally:
        del os.environ[THREADS]
        if before is not None:
            os.environ[THREADS] = before


class Followed(NamedTuple):
    """What is reserved over the orders, at least and at most, the most that is alive at once, and the largest request.

    All in bytes.
    """

    reserved: Interval
    alive: int
    largest: int


def follow(events: Events, *, warms: bool = False, swaps: bool = True, limit: int | None = None) -> Followed:
    """The least and the most over the orders; `warms`: and over both ways to load a model.

    Beyond a `limit` in bytes no order is followed: where there is more, what is returned is something above it.

    Forward, large tensors come and go in the order of the code, as traces of it do. Not all of them do backward, where
    a kernel asks for scratch, or a copy is made that no row counts; and published readings of training lie up to 4 %
    below what the order of the code reserves, for a reason not found. So, with `swaps`, each release is also put behind
    an allocation that follows it, and before one that precedes it, as long as their order is not settled. Requests of
    up to 1 MiB have a pool of their own and are replayed once.
    """
    asked = _requests(events)
    low, high = _once(asked.large, How(asked.loaded, swaps, events.block if warms else 0, limit, asked.settled))
    more, _ = _once(asked.small, How())
    return Followed((low + more, high + more), MIN_BLOCK * asked.most, asked.largest)


def reserved(events: Events, *, warms: bool = False, swaps: bool = True, limit: int | None = None) -> Interval:
    """What is reserved alone."""
    return follow(events, warms=warms, swaps=swaps, limit=limit).reserved


def peak(events: Events) -> int:
    """The most that is alive at once, each block rounded up to 512 bytes."""
    return MIN_BLOCK * _requests(events).most


def _requests(events: Events) -> Requests:
    return (_compiled and _compiled(events)) or plain_requests(events)


def _once(pool: Pool, how: How) -> Interval:
    """What is worked out for the requests of a pool; once for all that are the same."""
    key = pool.digest(how)
    known = _KNOWN.get(key)
    if known is None:
        if len(_KNOWN) >= REMEMBERED:
            _KNOWN.clear()
        known = _KNOWN[key] = pool.reserved(how)
    return known
