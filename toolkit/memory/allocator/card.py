"""Whether a timeline runs on a card: replayed with what the card can give, caches flushed where it is full."""

from __future__ import annotations

from toolkit.facts.gpus import find_gpu
from toolkit.facts.names import UnknownName
from toolkit.frozen import frozen
from toolkit.memory.allocator.caching import CachingAllocator, CardFullError
from toolkit.memory.allocator.expandable import ExpandableAllocator
from toolkit.memory.device import Interval
from toolkit.memory.ledger import PhaseName
from toolkit.memory.timeline.timeline import Timeline

FITS, FITS_NOT, DEPENDS = "fits", "does not fit", "depends"


@frozen
class CardFit:
    """A run on a card. `capacity` is what tensors may take of it, `retries` how often caches are flushed to go on.

    Where it does not fit, `needed` is how many bytes it would hold at the operation `at` that fails, and `expandable`
    whether it fits with expandable segments.
    """

    gpu: str
    capacity: Interval
    verdict: str
    retries: int = 0
    needed: int | None = None
    at: str = ""
    expandable: bool = False

    def text(self) -> str:
        """The verdict in a sentence."""
        if self.verdict == FITS:
            flushed = f", after {self.retries} flushes of the cache" if self.retries else ""
            return f"fits on {self.gpu}{flushed}"
        which = "does not fit" if self.verdict == FITS_NOT else "may not fit"
        remedy = "; fits with expandable_segments:True" if self.expandable else ""
        return f"{which} on {self.gpu}: {self.needed:,} bytes are needed at {self.at}{remedy}"


SOLVABLE = ("batch_size", "sequence_length")
"""The fields whose largest value that fits can be asked for."""


@frozen
class Solved:
    """The largest value of a field that fits (None: not even 1), and why one more does not (None: no more was tried).

    `how` says by what it was found.
    """

    field: str
    gpu: str
    largest: int | None
    beyond: CardFit | None
    how: str


def capacity_of(gpu: str) -> Interval | None:
    """What a card gives to tensors at least and at most: its usable memory less the CUDA context."""
    card = find_gpu(gpu)
    if isinstance(card, UnknownName):
        return None
    return card.usable_low - card.context_high, card.usable_high - card.context_low


def card_fit(
    timeline: Timeline, reserved: Interval, gpu: str | None, allocator: type[CachingAllocator] = CachingAllocator
) -> CardFit | None:
    """Replays a timeline on a card through a kind of allocator; None where no card is named.

    It fits where it does with the least that the card may give, however the model was loaded; it does not where it
    fails with the most, however it was loaded. `reserved` is what it takes of a card without end.
    """
    capacity = capacity_of(gpu) if gpu is not None else None
    if gpu is None or capacity is None:
        return None
    least, most = capacity
    if reserved[1] <= least:
        return CardFit(gpu, capacity, FITS)
    worst = [_replayed(timeline, allocator(least), warm=warm) for warm in (False, True)]
    failed = next((one for one in worst if isinstance(one, CardFullError)), None)
    if failed is None:
        return CardFit(gpu, capacity, FITS, max(one for one in worst if isinstance(one, int)))
    best = [_replayed(timeline, allocator(most), warm=warm) for warm in (False, True)]
    verdict = FITS_NOT if all(isinstance(one, CardFullError) for one in best) else DEPENDS
    expandable = isinstance(_replayed(timeline, ExpandableAllocator(least)), int)
    return CardFit(gpu, capacity, verdict, needed=failed.needed, at=failed.at, expandable=expandable)


def runs_in(timeline: Timeline, capacity: int) -> bool:
    """Whether a timeline runs in so many bytes, however the model was loaded."""
    return all(isinstance(_replayed(timeline, CachingAllocator(capacity), warm=warm), int) for warm in (False, True))


def _replayed(timeline: Timeline, allocator: CachingAllocator, *, warm: bool = False) -> int | CardFullError:
    """How often the caches were flushed, or what could not be had."""
    try:
        timeline.replay(PhaseName.LOAD, allocator, warm=warm)
    except CardFullError as full:
        return full
    return allocator.retries
