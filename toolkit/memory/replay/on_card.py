"""Reserved memory on named cards, and what these show: for one estimate, and over several."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from toolkit.facts.gpus import find_gpu
from toolkit.facts.names import UnknownName
from toolkit.memory.allocator.card import capacity_of
from toolkit.memory.device import Interval, device_interval
from toolkit.memory.estimate import Estimate
from toolkit.memory.replay.reserved import counted, replayed, reserved_on_card

TRIED = 16
"""How many of several estimates are replayed for each end of the interval."""

Bounds = Callable[[Estimate], Interval]

Runs = Callable[[Estimate], bool]
"""Whether a run may find room on its card."""


def device_on_card(known: Estimate, *, runs: bool = False) -> Interval:
    """What the card shows when most is reserved: reserved memory and the CUDA context, at most what the card has.

    `runs` is as for `reserved_on_card`.
    """
    if known.context is not None and known.context.serves:
        return known.device
    low, high = _beside(known, reserved_on_card(known, runs=runs))
    most = _shown_at_most(known)
    return (low, high) if most is None else (min(low, most), min(high, most))


def reserved_over(estimates: Sequence[Estimate], runs: Runs) -> Interval:
    """The least and the most that is reserved over several estimates."""
    return _over(estimates, _bounds_on_card, lambda one: reserved_on_card(one, runs=runs(one)))


def counted_over(estimates: Sequence[Estimate]) -> Interval:
    """The least and the most that torch counts over several estimates: live tensors by their whole blocks.

    Of many estimates those are replayed that have the most live tensors, and those that may count least.
    """
    by_size = sorted(estimates, key=lambda one: one.allocated)
    low, high = counted(by_size[0])[0], max(counted(one)[1] for one in by_size[-TRIED:])
    for tried, one in enumerate(by_size[1:], 1):
        if one.allocated >= low:  # no block is smaller than its tensor
            break
        low = min(low, counted(one)[0] if tried < TRIED else one.allocated)
    return low, high


def device_over(estimates: Sequence[Estimate], runs: Runs) -> Interval:
    """The least and the most that a card shows over several estimates, each when most is reserved."""
    return _over(estimates, _device_bounds_on_card, lambda one: device_on_card(one, runs=runs(one)))


def _bounds_on_card(known: Estimate) -> Interval:
    """The bounds of reserved memory, limited by the card's memory."""
    capacity = capacity_of(known.setting.gpu or "")
    low, high = known.reserved
    return (low, high) if capacity is None else (low, max(min(high, capacity[1]), low))


def _device_bounds_on_card(known: Estimate) -> Interval:
    if known.context is not None and known.context.serves:
        return known.device
    return _beside(known, _bounds_on_card(known))


def _beside(known: Estimate, reserved: Interval) -> Interval:
    """Reserved memory, and what a card shows on top of it."""
    setting = known.setting
    return device_interval(reserved, setting.gpu, setting.parallel, setting.stack.versions)


def _shown_at_most(known: Estimate) -> int | None:
    """The most that a card can show, if what is allocated certainly fits on it."""
    found = find_gpu(known.setting.gpu) if known.setting.gpu is not None else None
    if found is None or isinstance(found, UnknownName) or known.allocated > found.usable_high - found.context_low:
        return None
    return found.usable_high


def most_reserved(estimates: Sequence[Estimate], limit: int | None = None) -> int:
    """The most that is reserved over several estimates on cards that have it; nothing is known above a `limit`."""
    return _most(estimates, lambda one: one.reserved, lambda one: replayed(one, limit))


def _over(estimates: Sequence[Estimate], bounds: Bounds, narrowed: Bounds) -> Interval:
    """The hull of the replays of those estimates whose bounds may reach it; their bounds where they are too many."""
    return _least(estimates, bounds, narrowed), _most(estimates, bounds, narrowed)


def _least(estimates: Sequence[Estimate], bounds: Bounds, narrowed: Bounds) -> int:
    first, *others = sorted(estimates, key=lambda one: bounds(one)[0])
    low = narrowed(first)[0]
    for tried, one in enumerate(others, 1):
        if bounds(one)[0] < low:
            low = min(low, (narrowed if tried < TRIED else bounds)(one)[0])
    return low


def _most(estimates: Sequence[Estimate], bounds: Bounds, narrowed: Bounds) -> int:
    first, *others = sorted(estimates, key=lambda one: -bounds(one)[1])
    high = narrowed(first)[1]
    for tried, one in enumerate(others, 1):
        if bounds(one)[1] > high:
            high = max(high, (narrowed if tried < TRIED else bounds)(one)[1])
    return high
