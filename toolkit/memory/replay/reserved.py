"""What a setting reserves on a GPU: its events replayed through the caching allocator, by how it is spread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from toolkit.memory.card import capacity_of
from toolkit.memory.context import Context
from toolkit.memory.device import LAST_SEGMENTS, Interval, device_interval, workspace_bytes
from toolkit.memory.estimate import Estimate
from toolkit.memory.moments import Programs
from toolkit.memory.numerics import FOUR_BIT
from toolkit.memory.parallel.spread import Spread
from toolkit.memory.recording import programs_of
from toolkit.memory.replay.generation import generation_events
from toolkit.memory.replay.orders import peak, reserved
from toolkit.memory.replay.sharded import other_streams, sharded_runs
from toolkit.memory.replay.training import Run, holds_results
from toolkit.memory.sums import Sums

ALONE = ("none", "ddp")
"""Strategies under which a GPU runs the whole model, and as if alone."""

MOVE = (
    "gradient_accumulation",
    "generated_length",
    "master_weights",
    "optimizer",
    "optimizer_implementation",
    "optimizer_states",
    "parallel",
)
"""What of a setting moves its events beside its programs, its sums and its scale."""

KEPT = 1024

TRIED = 8
"""Of several estimates so many are replayed for each end."""

Bounds = Callable[[Estimate], Interval]

Worked = tuple[int, int, int]
"""The least and the most that is reserved, and the most that is alive."""

_KNOWN: dict[tuple[object, ...], tuple[Worked, Programs, Sums]] = {}
"""What was worked out by what moves it, with what its keys name."""


def replayed(known: Estimate) -> Interval:
    """The least and the most that the caching allocator reserves, in bytes; the estimate's bounds where none is known.

    Worked out when somebody asks, for it takes a hundred times as long as an estimate.
    """
    context = known.context
    if context is None or context.serves or context.stage is not None or not _is_known(context):
        return known.reserved
    low, high, alive = _worked_out_once(context, workspace_bytes(known.setting.gpu))
    missing = max(known.allocated - alive, 0)  # what no event is of
    low, high = max(low + missing, known.allocated), high + missing + LAST_SEGMENTS
    return (low, max(high, known.reserved[1])) if _is_exceeded(context) else (low, high)


def reserved_on_card(known: Estimate) -> Interval:
    """The same on the card that the setting names, which may be full: then all free segments go back to it.

    How much is reserved at a time is then anything from what is allocated to what the card has.
    """
    found, gpu = replayed(known), known.setting.gpu
    capacity = capacity_of(gpu) if gpu is not None else None
    if capacity is None or found[1] <= capacity[0] or known.allocated > capacity[1]:
        return found
    return min(found[0], known.allocated), max(min(found[1], capacity[1]), known.allocated)


def shown_by_card(known: Estimate) -> Interval:
    """The same with what the card shows beside it."""
    if known.context is not None and known.context.serves:
        return known.device
    return device_interval(reserved_on_card(known), known.setting.gpu, known.setting.parallel)


def reserved_over(estimates: Sequence[Estimate]) -> Interval:
    """The least and the most that is reserved over several estimates."""
    return _over(estimates, lambda one: one.reserved, reserved_on_card)


def shown_over(estimates: Sequence[Estimate]) -> Interval:
    """The least and the most that a card shows over several estimates."""
    return _over(estimates, lambda one: one.device, shown_by_card)


def most_reserved(estimates: Sequence[Estimate]) -> int:
    """The most that is reserved over several estimates on cards that have it."""
    return _over(estimates, lambda one: one.reserved, replayed)[1]


def _over(estimates: Sequence[Estimate], bounds: Bounds, narrowed: Bounds) -> Interval:
    """The hull of what is replayed, of those estimates whose bounds may reach it; the bounds of too many others."""
    low, high = narrowed(min(estimates, key=lambda one: bounds(one)[0]))
    for tried, one in enumerate(sorted(estimates, key=lambda one: bounds(one)[0])):
        if bounds(one)[0] < low:
            low = min(low, (narrowed if tried < TRIED else bounds)(one)[0])
    for tried, one in enumerate(sorted(estimates, key=lambda one: -bounds(one)[1])):
        if bounds(one)[1] > high:
            high = max(high, (narrowed if tried < TRIED else bounds)(one)[1])
    return low, high


def _worked_out_once(context: Context, workspace: int) -> Worked:
    setting = context.setting
    programs = programs_of(context)
    moved = (getattr(setting, field) for field in MOVE)
    key = (id(programs), id(context.sums), context.scale, context.sharing, workspace, *moved)
    known = _KNOWN.get(key)
    if known is None:
        if len(_KNOWN) >= KEPT:
            _KNOWN.clear()
        known = _KNOWN[key] = _worked_out(replace(context, workspace=workspace), programs), programs, context.sums
    return known[0]


def _is_exceeded(context: Context) -> bool:
    """Whether more may be reserved than is replayed.

    How tokens are shared out among experts is not known, so that tensors have other sizes in each layer. And under FSDP
    published readings of full fine-tuning and of 4-bit weights lie up to a tenth above, for a reason not found yet.
    """
    setting = context.setting
    if any(kind.feed_forward.experts for kind in context.architecture.layers):
        return True
    return context.sharing is not None and (setting.method == "full" or setting.weights in FOUR_BIT)


def _is_known(context: Context) -> bool:
    if len({kind.stack for kind in context.architecture.layers}) > 1:
        return False  # a decoder's layers have the encoder's result beside their own input
    if context.setting.parallel.strategy in ALONE:
        return True
    return isinstance(context.sharing, Spread) and context.setting.trains


def _worked_out(context: Context, programs: Programs) -> Worked:
    sharing = context.sharing
    if isinstance(sharing, Spread):
        beside = other_streams(context, sharing)
        first, *others = [run.events() for run in sharded_runs(context, programs, sharing)]
        found = [reserved(first), *(reserved(events, swaps=False) for events in others)]
        alive = peak(first) + beside[0]
        return min(low for low, _ in found) + beside[0], max(high for _, high in found) + beside[1], alive
    if not context.setting.trains:
        events = generation_events(context, programs)
        return *reserved(events, warms=True), peak(events)
    events = Run(context, programs).events()
    low, high = reserved(events, warms=True)
    if holds_results(context):
        _, held = reserved(Run(context, programs, holds=True).events(), swaps=False)
        high = max(high, held)
    return low, high, peak(events)
