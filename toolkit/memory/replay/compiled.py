"""Requests as arrays, replayed by compiled code: to be imported only where numba is, and where many replays wait."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.memory.allocator.caching import LARGE_SEGMENT, MIN_BLOCK, OWN_SEGMENT_FROM, SEGMENT_UNIT, SMALL_SEGMENT
from toolkit.memory.replay.events import Outline
from toolkit.memory.replay.kernel import (
    AS_WRITTEN,
    EARLY,
    LATE,
    MOST_BLOCKS,
    Keys,
    Numbers,
    Rules,
    by_pool,
    replay_blocks,
    replay_growing,
    sizes_of_all,
    written_out,
)
from toolkit.memory.replay.pool import BLOCK_BITS, MOST_SMALL
from toolkit.memory.replay.requests import How, PlainPool, Pool, Replayed, Requests

NO_LIMIT = (1 << 63) - 1
OWN_FROM, UNIT = OWN_SEGMENT_FROM // MIN_BLOCK, SEGMENT_UNIT // MIN_BLOCK
RULES_OF_LARGE: Rules = MOST_SMALL, LARGE_SEGMENT // MIN_BLOCK, OWN_FROM, UNIT
RULES_OF_SMALL: Rules = 0, SMALL_SEGMENT // MIN_BLOCK, OWN_FROM, UNIT


class CompiledPool:
    """The requests of a pool, of which `wanted` has the blocks of 512 bytes, as arrays."""

    def __init__(self, wanted: Numbers, order: Numbers, alive: Keys, *, small: bool) -> None:
        self._wanted = wanted
        self._order = order
        self._alive = alive
        self._small = small

    def replayed(self, how: How) -> Replayed:
        """What is reserved over the orders, and counted in the first."""
        limit = MOST_BLOCKS if how.limit is None else min(how.limit // MIN_BLOCK, MOST_BLOCKS)
        warm = -(-how.warm // SEGMENT_UNIT) * UNIT
        asked = [(order, 0) for order in ((AS_WRITTEN, LATE, EARLY) if how.swaps else (AS_WRITTEN,))]
        if warm:
            asked.append((AS_WRITTEN, warm))
        found = [(warm, 0)]
        if warm <= MOST_BLOCKS:
            settled = len(self._order) if how.settled is None else min(how.settled, len(self._order))
            mine = self._wanted, self._order, self._alive, (how.loaded, settled)
            rules = RULES_OF_SMALL if self._small else RULES_OF_LARGE
            found = [replay_blocks(*mine, order, first, limit, rules) for order, first in asked]
        reserved = [int(blocks) for blocks, _ in found]
        if limit == MOST_BLOCKS < max(reserved):
            alike = self._wanted.tolist(), self._order.tolist(), self._alive.tolist()
            return PlainPool(*alike, small=self._small).replayed(how)
        counted = [MIN_BLOCK * int(found[place][1]) for place in (0, *((-1,) if warm else ()))]
        return Replayed((MIN_BLOCK * min(reserved), MIN_BLOCK * max(reserved)), counted[0], counted[-1])


class CompiledExpandablePool:
    """The requests of a pool whose segment grows, as arrays; as toolkit.memory.replay.requests.ExpandablePool."""

    def __init__(self, wanted: Numbers, order: Numbers, *, small: bool) -> None:
        self._wanted = wanted
        self._order = order
        self._unit = (SMALL_SEGMENT if small else LARGE_SEGMENT) // MIN_BLOCK

    def replayed(self, how: How) -> Replayed:
        """What is reserved over the orders."""
        limit = NO_LIMIT if how.limit is None else how.limit // MIN_BLOCK
        settled = len(self._order) if how.settled is None else min(how.settled, len(self._order))
        asked = [(order, 0) for order in ((AS_WRITTEN, LATE, EARLY) if how.swaps else (AS_WRITTEN,))]
        if how.warm:
            asked.append((AS_WRITTEN, -(-how.warm // MIN_BLOCK)))
        found = [
            MIN_BLOCK
            * int(replay_growing(self._wanted, self._order, (how.loaded, settled), order, warm, limit, self._unit))
            for order, warm in asked
        ]
        return Replayed((min(found), max(found)), 0, 0)


def compiled_requests(outline: Outline) -> Requests | None:
    """The requests of a run, as arrays; None where one is too large."""
    try:
        sizes = np.concatenate([_numbers(one, np.int64) for one in (outline.apart, *outline.sizes)])
    except OverflowError:
        return None
    largest = int(sizes.max())
    if largest > MOST_BLOCKS * MIN_BLOCK:
        return None
    wanted = _wanted((sizes + (MIN_BLOCK - 1) >> BLOCK_BITS).astype(np.int32), outline)
    order = _order(outline)
    places = outline.loaded, len(order) if outline.settled is None else outline.settled
    large, small, alive, (loaded, settled), most = by_pool(wanted, order, places, MOST_SMALL)
    none = np.zeros(len(small), np.int64)
    pools: tuple[Pool, Pool]
    if outline.grows:
        pools = CompiledExpandablePool(wanted, large, small=False), CompiledExpandablePool(wanted, small, small=True)
    else:
        pools = CompiledPool(wanted, large, alive, small=False), CompiledPool(wanted, small, none, small=True)
    return Requests(pools[0], pools[1], loaded, settled, int(most), largest)


def _wanted(blocks: Numbers, outline: Outline) -> Numbers:
    """The size of each block, of what there is for those that are apart and for each stretch once."""
    ends = accumulate(map(len, outline.sizes), initial=len(outline.apart))
    return sizes_of_all(blocks, _numbers(outline.after), _numbers(outline.which), _numbers([*ends]))


def _order(outline: Outline) -> Numbers:
    """All events."""
    written = _numbers(outline.written)
    if not outline.places:
        return written
    return written_out(
        written,
        _numbers(outline.places),
        (_numbers(outline.before), _numbers(outline.linked), _numbers(outline.links)),
        _numbers(outline.moving),
        _numbers([*accumulate(map(len, outline.moves), initial=0)]),
        _numbers([*chain.from_iterable(outline.moves)]),
    )


def _numbers(numbers: Sequence[int], dtype: type = np.int32) -> NDArray[Any]:
    """Numbers as an array; raises OverflowError where one is too large."""
    return np.fromiter(numbers, dtype, len(numbers))
