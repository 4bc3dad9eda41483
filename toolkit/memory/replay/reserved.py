"""What a setting reserves on a GPU: its events replayed through the caching allocator, by how it is spread."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from toolkit.memory.architecture.litgpt import FAMILY as LITGPT
from toolkit.memory.card import capacity_of
from toolkit.memory.context import Context
from toolkit.memory.device import LAST_SEGMENTS, Interval, device_interval, workspace_bytes
from toolkit.memory.estimate import Estimate
from toolkit.memory.formula.outputs import holds_results
from toolkit.memory.moments import Programs
from toolkit.memory.parallel.spread import Spread
from toolkit.memory.recording import programs_of
from toolkit.memory.replay.generation import generation_events
from toolkit.memory.replay.orders import peak, reserved
from toolkit.memory.replay.sharded import other_streams, sharded_runs
from toolkit.memory.replay.training import Run
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

Key = tuple[object, ...]

_KNOWN: dict[Key, tuple[Worked, Programs, Sums]] = {}
"""What was worked out by what moves it, with what its keys name."""


def replayed(known: Estimate) -> Interval:
    """The least and the most that the caching allocator reserves, in bytes; the estimate's bounds where none is known.

    Worked out when somebody asks, for it takes a hundred times as long as an estimate.
    """
    context = _run_of(known)
    if context is None:
        return known.reserved
    low, high, alive = worked_out(context)
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
    setting = known.setting
    return device_interval(reserved_on_card(known), setting.gpu, setting.parallel, setting.stack.versions)


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


def unknown_runs(estimates: Iterable[Estimate]) -> list[list[Context]]:
    """The runs that no estimate was replayed of yet, the longest first; those that are much alike stay together."""
    groups: dict[tuple[object, ...], dict[Key, Context]] = {}
    for context in filter(None, map(_run_of, estimates)):
        key, setting = _key(context), context.setting
        if key not in _KNOWN:
            alike = id(context.architecture), context.scale, setting.method, setting.parallel
            groups.setdefault(alike, {})[key] = context
    return sorted((list(alike.values()) for alike in groups.values()), key=_length, reverse=True)


def worked_out(context: Context) -> Worked:
    """What is worked out by replaying a run, once."""
    known = _KNOWN.get(_key(context))
    return known[0] if known is not None else remember(context, _worked_out(context, programs_of(context)))


def remember(context: Context, worked: Worked) -> Worked:
    """Keeps what was worked out, here or in another process."""
    if len(_KNOWN) >= KEPT:
        _KNOWN.clear()
    _KNOWN[_key(context)] = worked, programs_of(context), context.sums
    return worked


def _key(context: Context) -> Key:
    moved = (getattr(context.setting, field) for field in MOVE)
    return id(programs_of(context)), id(context.sums), context.scale, context.sharing, context.workspace, *moved


def _length(alike: list[Context]) -> int:
    """How long some runs are, one relative to another."""
    return len(alike) * sum(kind.count for kind in alike[0].architecture.layers)


def _run_of(known: Estimate) -> Context | None:
    """The run of an estimate with the workspace of its own GPU; None where only bounds are known."""
    context = known.context
    if context is None or context.serves or context.stage is not None or not _is_known(context):
        return None
    return replace(context, workspace=workspace_bytes(known.setting.gpu))


def _is_exceeded(context: Context) -> bool:
    """Whether more may be reserved than is replayed.

    How tokens are shared out among experts is not known, so that tensors have other sizes in each layer. And under FSDP
    published readings of full fine-tuning lie up to a tenth above, for a reason not found yet: it is not that a joined
    gradient is free only when the stream that shares it out is done with it, for there is room then.
    """
    if any(kind.feed_forward.experts for kind in context.architecture.layers):
        return True
    return context.sharing is not None and context.setting.method == "full"


def _is_known(context: Context) -> bool:
    if len({kind.stack for kind in context.architecture.layers}) > 1:
        return False  # a decoder's layers have the encoder's result beside their own input
    if context.architecture.family == LITGPT and not context.setting.trains:
        return False  # it has its cache before the prompt, and quantizes every weight twice
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
