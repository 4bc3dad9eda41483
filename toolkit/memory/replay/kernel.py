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

Numbers: TypeAlias = NDArray[np.int32]
Keys: TypeAlias = NDArray[np.int64]
Rules = tuple[int, int, int, int]
Span = tuple[int, int]
Kernel = TypeVar("Kernel", bound=Callable[..., object])

AS_WRITTEN, LATE, EARLY = range(3)
"""Releases where they are; each behind the allocation that follows it; each before the one that precedes it."""

ADDRESS_BITS = 31
MOST_BLOCKS = (1 << ADDRESS_BITS) - (1 << 16)
"""A free piece is one number of 64 bits, its size above its address: where more is reserved, 1 TiB, Python replays.

A segment for a request that takes no more may still be larger than that.
"""

KEPT, OPENED, OWN_FROM, UNIT = range(4)
"""The rules of a pool: a rest of up to so much stays with its block; a new segment has so much, but is of its own from
so much on, in whole units. They are given, not read from other modules: numba would keep them after they changed there.
"""

# A piece's number is its row, from 1: 0 stands for no neighbour. PLACE is where it is among those that are free.
SIZE, ADDRESS, BEFORE, AFTER, PLACE = range(5)
NOWHERE = -1

ABOVE_ALL = np.int64((1 << 63) - 1)
"""More than any key."""

NOT_BELOW = np.uint64(ABOVE_ALL)
"""More than a key can be above a bound; a difference below 0 is more, as a number without a sign."""


def _kept(kernel: Kernel) -> Kernel:
    """A function compiled when it is called first, and from then on read from a folder, where one can be written to."""
    try:
        return numba.njit(cache=True)(kernel)
    except RuntimeError:  # numba found no such folder (numba/core/caching.py, _CacheImpl)
        return numba.njit(kernel)


@numba.njit
def _least(keys: Keys, free: int, bound: int) -> int:
    """The least of so many keys that is not below a bound.

    What is below it is without a sign more than all others. So several are compared by one instruction.
    """
    least = NOT_BELOW
    for place in range(free):
        above = np.uint64(keys[place] - bound)
        least = min(least, above)
    return bound + np.int64(least) if least < NOT_BELOW else ABOVE_ALL


@numba.njit
def _place(keys: Keys, free: int, key: int) -> int:
    """Where a key is: with no way out of the loop, for then several are compared by one instruction."""
    found = 0
    for place in range(free):
        found = place if keys[place] == key else found
    return found


@numba.njit
def _changes_places(order: Numbers, at: int, loaded: int, settled: int, swap: int) -> bool:
    """Whether an event changes places with the next one."""
    if swap == AS_WRITTEN or at < loaded or at + 1 >= settled:
        return False
    if swap == LATE:
        return order[at] < 0 < order[at + 1]
    return order[at + 1] < 0 < order[at] != -order[at + 1]


@_kept
def replay_blocks(  # noqa: C901 - see below
    wanted: Numbers, order: Numbers, alive: Keys, open_to_change: Span, swap: int, warm: int, limit: int, rules: Rules
) -> Span:
    """The blocks that are reserved, of which `warm` are there first, as one that is free; and the most that is counted.

    `alive` has for each event the most blocks that are alive until the next, to which what is left of pieces that are
    not split is counted. Events from one number on, and up to another, are open to change places.

    What is free is in no order: some hundred pieces are, and all of them are sooner compared than kept in order. All in
    one function, whose counts stay in registers: with functions for its parts it takes a third longer.
    """
    most = 2 * min(len(order), len(wanted)) + 3
    pieces, piece_of = np.empty((most, 5), np.int64), np.empty(len(wanted), np.int64)
    keys, numbers, spare = np.empty(most, np.int64), np.empty(most, np.int64), np.empty(most, np.int64)
    loaded, settled = open_to_change
    reserved = made = free = spared = 0  # spare are numbers of pieces that were joined with others
    pieces[0, PLACE] = NOWHERE
    if warm:
        reserved, made, free = warm, 1, 1
        pieces[1] = warm, 0, 0, 0, 0
        keys[0], numbers[0] = warm << ADDRESS_BITS, 1
    beside = counted = np.int64(0)
    after = -1  # the event that has changed places with the one before it
    for at in range(len(order)):
        event = order[at]
        if after >= 0:
            event, after = order[after], -1
        elif _changes_places(order, at, loaded, settled, swap):
            event, after = order[at + 1], at
        if event > 0:
            # Of the pieces that are large enough the smallest, of equals the first.
            want = np.int64(wanted[event])
            least = _least(keys, free, want << ADDRESS_BITS)
            if least != ABOVE_ALL:
                place = _place(keys, free, least)
                piece = numbers[place]
                pieces[piece, PLACE] = NOWHERE
                free -= 1
                if place != free:  # the last one takes its place
                    last = numbers[free]
                    keys[place], numbers[place] = keys[free], last
                    pieces[last, PLACE] = place
            else:
                size = -(-want // rules[UNIT]) * rules[UNIT] if want >= rules[OWN_FROM] else rules[OPENED]
                if spared:
                    spared -= 1
                    piece = spare[spared]
                else:
                    made += 1
                    piece = made
                pieces[piece, SIZE], pieces[piece, ADDRESS], pieces[piece, PLACE] = size, reserved, NOWHERE
                pieces[piece, BEFORE] = pieces[piece, AFTER] = 0
                reserved += size
                if reserved > limit:
                    break
            rest = pieces[piece, SIZE] - want
            if rest > rules[KEPT]:
                if spared:
                    spared -= 1
                    new = spare[spared]
                else:
                    made += 1
                    new = made
                other, address = pieces[piece, AFTER], pieces[piece, ADDRESS] + want
                pieces[new, SIZE], pieces[new, ADDRESS], pieces[new, PLACE] = rest, address, free
                pieces[new, BEFORE], pieces[new, AFTER] = piece, other
                pieces[piece, SIZE] = want
                pieces[piece, AFTER] = pieces[other, BEFORE] = new
                keys[free], numbers[free] = rest << ADDRESS_BITS | address, new
                free += 1
            else:
                beside += rest
            piece_of[event] = piece
        else:
            piece = piece_of[-event]
            beside -= pieces[piece, SIZE] - wanted[-event]
            other = pieces[piece, AFTER]
            place = pieces[other, PLACE]
            if place != NOWHERE:  # a free piece behind it becomes part of it
                free -= 1
                if place != free:
                    last = numbers[free]
                    keys[place], numbers[place] = keys[free], last
                    pieces[last, PLACE] = place
                pieces[piece, SIZE] += pieces[other, SIZE]
                spare[spared] = other
                spared += 1
                other = pieces[other, AFTER]
                pieces[piece, AFTER], pieces[other, BEFORE] = other, piece
            first = pieces[piece, BEFORE]
            place = pieces[first, PLACE]
            if place != NOWHERE:  # it becomes part of a free piece before it
                pieces[first, SIZE] += pieces[piece, SIZE]
                pieces[first, AFTER], pieces[other, BEFORE] = other, first
                spare[spared] = piece
                spared += 1
                piece = first
            else:
                place, free = free, free + 1
                numbers[place] = piece
                pieces[piece, PLACE] = place
            keys[place] = pieces[piece, SIZE] << ADDRESS_BITS | pieces[piece, ADDRESS]
        counted = max(counted, alive[at] + beside)
    return reserved, counted


@_kept
def _with_room(sizes: Keys, starts: Keys, free: int, end: int, want: int) -> int:
    """The place of the smallest free piece with room, of equals the first; -1 without one.

    Where none has room, the piece that ends where the segment does, which can grow.
    """
    best = last = -1
    for place in range(free):
        if starts[place] + sizes[place] == end:
            last = place
        elif sizes[place] >= want and (
            best < 0 or sizes[place] < sizes[best] or (sizes[place] == sizes[best] and starts[place] < starts[best])
        ):
            best = place
    return best if best >= 0 else last


@_kept
def _given_back(sizes: Keys, starts: Keys, free: int, start: int, size: int) -> int:
    """How many pieces are free once one more is, which becomes part of those beside it."""
    before = behind = -1
    for place in range(free):
        if starts[place] + sizes[place] == start:
            before = place
        if starts[place] == start + size:
            behind = place
    if before >= 0:
        sizes[before] += size
        if behind >= 0:
            sizes[before] += sizes[behind]
            free -= 1
            sizes[behind], starts[behind] = sizes[free], starts[free]
    elif behind >= 0:
        sizes[behind] += size
        starts[behind] = start
    else:
        sizes[free], starts[free] = size, start
        free += 1
    return free


@_kept
def _in_place(order: Numbers, at: int, after: int, open_to_change: Span, swap: int) -> tuple[int, int]:
    """The event that comes at a place, and the one that has changed places with it, or -1."""
    if after >= 0:
        return order[after], -1
    if _changes_places(order, at, open_to_change[0], open_to_change[1], swap):
        return order[at + 1], at
    return order[at], -1


@_kept
def replay_growing(
    wanted: Numbers, order: Numbers, open_to_change: Span, swap: int, warm: int, limit: int, unit: int
) -> int:
    """The blocks that are reserved where a segment grows by whole units, `warm` of them there first and free.

    What toolkit.memory.replay.expandable_pool does, with what is free in no order.
    """
    most = len(wanted) + 2
    sizes, starts, start_of = np.empty(most, np.int64), np.empty(most, np.int64), np.empty(len(wanted), np.int64)
    end = np.int64(-(-warm // unit) * unit)
    free = 0
    if end:
        sizes[0], starts[0], free = end, 0, 1
    after = -1  # the event that has changed places with the one before it
    for at in range(len(order)):
        event, after = _in_place(order, at, after, open_to_change, swap)
        if event < 0:
            free = _given_back(sizes, starts, free, start_of[-event], np.int64(wanted[-event]))
            continue
        want = np.int64(wanted[event])
        best = _with_room(sizes, starts, free, end, want)
        start = starts[best] if best >= 0 else end
        size = sizes[best] if best >= 0 else np.int64(0)
        if size < want:
            added = -(-(want - size) // unit) * unit
            end += added
            size += added
            if end > limit:
                break
        if size > want:  # the rest stays free, in its place
            if best < 0:
                best, free = free, free + 1
            sizes[best], starts[best] = size - want, start + want
        elif best >= 0:
            free -= 1
            sizes[best], starts[best] = sizes[free], starts[free]
        start_of[event] = start
    return end


@_kept
def sizes_of_all(blocks: Numbers, after: Numbers, which: Numbers, ends: Numbers) -> Numbers:
    """The sizes of all blocks: `blocks` has those that are apart, and then those of each stretch that ends at `ends`.

    After so many that are apart comes one of the stretches.
    """
    apart = ends[0]
    total = apart
    for number in which:
        total += ends[number + 1] - ends[number]
    sizes = np.empty(total, np.int32)
    at = done = 0
    for number in range(len(after)):
        for place in range(done, after[number]):
            sizes[at] = blocks[place]
            at += 1
        done = after[number]
        for place in range(ends[which[number]], ends[which[number] + 1]):
            sizes[at] = blocks[place]
            at += 1
    for place in range(done, apart):
        sizes[at] = blocks[place]
        at += 1
    return sizes


@_kept
def written_out(
    written: Numbers,
    places: Numbers,
    follow: tuple[Numbers, Numbers, Numbers],
    which: Numbers,
    ends: Numbers,
    moves: Numbers,
) -> Numbers:
    """All events: those that are written, and at each place those of one of the stretches that end where `ends` says.

    Its blocks follow so many others, but for the first so many, which are `linked` and follow `links` others.
    """
    before, linked, links = follow
    total = len(written)
    for number in which:
        total += ends[number + 1] - ends[number]
    order = np.empty(total, np.int32)
    at = done = 0
    for number in range(len(places)):
        for place in range(done, places[number]):
            order[at] = written[place]
            at += 1
        done = places[number]
        for place in range(ends[which[number]], ends[which[number] + 1]):
            move = moves[place]
            block = abs(move)
            block += links[number] if block <= linked[number] else before[number] - linked[number]
            order[at] = block if move > 0 else -block
            at += 1
    for place in range(done, len(written)):
        order[at] = written[place]
        at += 1
    return order


@_kept
def by_pool(wanted: Numbers, order: Numbers, places: Span, most_small: int) -> tuple[Numbers, Numbers, Keys, Span, int]:
    """The events of large blocks and those of small ones; and how many blocks of 512 bytes are alive at most.

    Between them, for each event of a large block, how many are alive until the next such event, none before the first
    of two `places`; and how many of these events are before each of the places.
    """
    large, small = np.empty(len(order), np.int32), np.empty(len(order), np.int32)
    until = np.zeros(len(order), np.int64)
    loaded, settled = places
    larges = smalls = first = second = alive = most = 0
    for place in range(len(order)):
        if place == loaded:
            first = larges
            if larges:  # what there was while the model was loaded is no part of its peaks
                until[:larges] = 0
                until[larges - 1] = alive
        if place == settled:
            second = larges
        event = order[place]
        size = wanted[abs(event)]
        alive += size if event > 0 else -size
        most = max(most, alive)
        if size > most_small:
            large[larges] = event
            larges += 1
            until[larges - 1] = alive
        else:
            small[smalls] = event
            smalls += 1
            if larges:
                until[larges - 1] = max(until[larges - 1], alive)
    if loaded >= len(order):
        first = larges
    if settled >= len(order):
        second = larges
    return large[:larges], small[:smalls], until[:larges], (first, second), most
