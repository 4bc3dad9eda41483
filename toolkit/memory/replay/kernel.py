"""The replay of a pool, compiled by numba.

What toolkit.memory.replay.pool does, step by step the same, with sizes and addresses in blocks of 512 bytes. Orders in
which releases change places are followed as they are read, so that none has to be written.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, TypeVar

import numba
import numpy as np
from numpy.typing import NDArray

Numbers: TypeAlias = NDArray[np.int64]
Rules = tuple[int, int, int, int]
Kernel = TypeVar("Kernel", bound=Callable[..., object])

AS_WRITTEN, LATE, EARLY = range(3)
"""Releases where they are; each behind the allocation that follows it; each before the one that precedes it."""

ADDRESS_BITS = 31
MOST_BLOCKS = (1 << ADDRESS_BITS) - (1 << 16)
"""A free piece is one number of 64 bits, its size above its address: where more is reserved, 1 TiB, Python replays.

A segment for a request that takes no more may still be larger than that.
"""

COUNTED = np.uint64(64)
"""So few free pieces are sooner compared one and all than halved."""

KEPT, OPENED, OWN_FROM, UNIT = range(4)
"""The rules of a pool: a rest of up to so much stays with its block; a new segment has so much, but is of its own from
so much on, in whole units. They are given, not read from other modules: numba would keep them after they changed there.
"""

# A piece's number is its row, from 1: 0 stands for no neighbour, and is never free.
SIZE, ADDRESS, BEFORE, AFTER, IS_FREE = range(5)
# How much is reserved, and how many pieces were made, are free, and are spare, for they were joined with others.
RESERVED, MADE, FREE, SPARE = range(4)


def _kept(kernel: Kernel) -> Kernel:
    """A function compiled when it is called first, and from then on read from a folder, where one can be written to."""
    try:
        return numba.njit(cache=True)(kernel)
    except RuntimeError:  # numba found no such folder (numba/core/caching.py, _CacheImpl)
        return numba.njit(kernel)


@numba.njit
def _key(pieces: Numbers, piece: int) -> int:
    """What orders a piece among those that are free: its size above its address."""
    return pieces[piece, SIZE] << ADDRESS_BITS | pieces[piece, ADDRESS]


@numba.njit
def _place(keys: Numbers, counts: Numbers, key: int) -> int:
    """Where a key is, or would be, among those of free pieces."""
    low, left = np.uint64(0), np.uint64(counts[FREE])
    while left > COUNTED:
        half = left >> np.uint64(1)
        if keys[low + half - np.uint64(1)] < key:
            low += half
        left -= half
    found = np.int64(low)
    for at in range(low, low + left):
        found += keys[at] < key
    return found


@numba.njit
def _moved_down(row: Numbers, place: int, end: int) -> None:
    """What is behind a place moves there; numbers without a sign make this one copy of memory."""
    for at in range(np.uint64(place), np.uint64(end)):
        row[at] = row[at + np.uint64(1)]


@numba.njit
def _moved_up(row: Numbers, place: int, end: int) -> None:
    """What is at a place and behind it makes room for one more."""
    for at in range(np.uint64(end - place)):
        row[np.uint64(end) - at] = row[np.uint64(end) - at - np.uint64(1)]


@numba.njit
def _remove(pieces: Numbers, keys: Numbers, numbers: Numbers, counts: Numbers, place: int) -> None:
    """Takes a piece from those that are free."""
    pieces[numbers[place], IS_FREE] = False
    counts[FREE] -= 1
    _moved_down(keys, place, counts[FREE])
    _moved_down(numbers, place, counts[FREE])


@numba.njit
def _add(pieces: Numbers, keys: Numbers, numbers: Numbers, counts: Numbers, piece: int) -> None:
    """Puts a piece among those that are free."""
    key = _key(pieces, piece)
    place = _place(keys, counts, key)
    _moved_up(keys, place, counts[FREE])
    _moved_up(numbers, place, counts[FREE])
    keys[place], numbers[place] = key, piece
    pieces[piece, IS_FREE] = True
    counts[FREE] += 1


@numba.njit
def _piece(pieces: Numbers, spare: Numbers, counts: Numbers, size: int, address: int) -> int:
    """A new piece without neighbours, which is not free."""
    if counts[SPARE]:
        counts[SPARE] -= 1
        piece = spare[counts[SPARE]]
    else:
        counts[MADE] += 1
        piece = counts[MADE]
    pieces[piece, SIZE], pieces[piece, ADDRESS] = size, address
    pieces[piece, BEFORE] = pieces[piece, AFTER] = pieces[piece, IS_FREE] = 0
    return piece


@numba.njit
def _opened(pieces: Numbers, spare: Numbers, counts: Numbers, size: int) -> int:
    """A new segment in one piece."""
    piece = _piece(pieces, spare, counts, size, counts[RESERVED])
    counts[RESERVED] += size
    return piece


@numba.njit
def _allocated(
    pieces: Numbers, keys: Numbers, numbers: Numbers, spare: Numbers, counts: Numbers, want: int, rules: Rules
) -> int:
    """The piece that a request gets: of those that are large enough the smallest, the first of equals; or a new one."""
    place = _place(keys, counts, want << ADDRESS_BITS)
    if place < counts[FREE]:
        piece = numbers[place]
        _remove(pieces, keys, numbers, counts, place)
    elif want >= rules[OWN_FROM]:
        piece = _opened(pieces, spare, counts, -(-want // rules[UNIT]) * rules[UNIT])
    else:
        piece = _opened(pieces, spare, counts, rules[OPENED])
    rest = pieces[piece, SIZE] - want
    if rest > rules[KEPT]:
        pieces[piece, SIZE] = want
        other = pieces[piece, AFTER]
        new = _piece(pieces, spare, counts, rest, pieces[piece, ADDRESS] + want)
        pieces[new, BEFORE], pieces[new, AFTER] = piece, other
        pieces[piece, AFTER] = pieces[other, BEFORE] = new
        _add(pieces, keys, numbers, counts, new)
    return piece


@numba.njit
def _join(
    pieces: Numbers, keys: Numbers, numbers: Numbers, spare: Numbers, counts: Numbers, first: int, second: int
) -> None:
    """Makes one piece of two neighbours, of which the free one is no longer among those that are."""
    is_free = first if pieces[first, IS_FREE] else second
    _remove(pieces, keys, numbers, counts, _place(keys, counts, _key(pieces, is_free)))
    other = pieces[second, AFTER]
    pieces[first, SIZE] += pieces[second, SIZE]
    pieces[first, AFTER], pieces[other, BEFORE] = other, first
    spare[counts[SPARE]] = second
    counts[SPARE] += 1


@numba.njit
def _release(pieces: Numbers, keys: Numbers, numbers: Numbers, spare: Numbers, counts: Numbers, piece: int) -> None:
    """Gives a piece back; it joins free neighbours."""
    if pieces[pieces[piece, AFTER], IS_FREE]:
        _join(pieces, keys, numbers, spare, counts, piece, pieces[piece, AFTER])
    first = pieces[piece, BEFORE]
    if pieces[first, IS_FREE]:
        _join(pieces, keys, numbers, spare, counts, first, piece)
        piece = first
    _add(pieces, keys, numbers, counts, piece)


@numba.njit
def _changes_places(order: Numbers, at: int, loaded: int, swap: int) -> bool:
    """Whether an event changes places with the next one."""
    if swap == AS_WRITTEN or at < loaded or at + 1 >= len(order):
        return False
    if swap == LATE:
        return order[at] < 0 < order[at + 1]
    return order[at + 1] < 0 < order[at] != -order[at + 1]


@_kept
def replay_blocks(wanted: Numbers, order: Numbers, loaded: int, swap: int, warm: int, limit: int, rules: Rules) -> int:
    """The blocks that are reserved, of which `warm` are there first, as one that is free."""
    most = 2 * min(len(order), len(wanted)) + 3
    pieces, keys, numbers = np.empty((most, 5), np.int64), np.empty(most, np.int64), np.empty(most, np.int64)
    spare, piece_of = np.empty(most, np.int64), np.empty(len(wanted), np.int64)
    counts = np.zeros(4, np.int64)
    pieces[0, IS_FREE] = False
    if warm:
        _add(pieces, keys, numbers, counts, _opened(pieces, spare, counts, warm))
    after = -1  # the event that has changed places with the one before it
    for at in range(len(order)):
        event = order[at]
        if after >= 0:
            event, after = order[after], -1
        elif _changes_places(order, at, loaded, swap):
            event, after = order[at + 1], at
        if event > 0:
            had = counts[RESERVED]
            piece_of[event] = _allocated(pieces, keys, numbers, spare, counts, wanted[event], rules)
            if had != counts[RESERVED] > limit:
                break
        else:
            _release(pieces, keys, numbers, spare, counts, piece_of[-event])
    return counts[RESERVED]
