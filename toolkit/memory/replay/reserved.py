"""What a setting reserves on a GPU: its events replayed through the caching allocator, by how it is spread."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields, replace
from operator import attrgetter

from toolkit.memory.allocator.caching import LARGE_SEGMENT, SMALL_SEGMENT, segment_size
from toolkit.memory.allocator.card import capacity_of
from toolkit.memory.architecture.autoawq import FAMILY as AUTOAWQ
from toolkit.memory.architecture.litgpt import FAMILY as LITGPT
from toolkit.memory.context import Context
from toolkit.memory.contexts import on_gpu_alone
from toolkit.memory.device import LAST_SEGMENTS, SEGMENT_UNIT, Interval, device_interval, workspace_bytes
from toolkit.memory.estimate import Estimate
from toolkit.memory.formula.ends.outputs import hides_results
from toolkit.memory.libraries.versions import older
from toolkit.memory.loading.unsplit import PACKAGE, WARMS
from toolkit.memory.parallel.buckets import replicates
from toolkit.memory.parallel.ignored import ignores_mixtures
from toolkit.memory.parallel.shard_moments import Shards
from toolkit.memory.parallel.spread import Spread
from toolkit.memory.parallel.zero_moments import Zero, Zero3
from toolkit.memory.programs.programs import Programs
from toolkit.memory.replay.bucketed import reserved_in_buckets
from toolkit.memory.replay.followed import follow_run
from toolkit.memory.replay.fully_sharded import reserved_fully_sharded
from toolkit.memory.replay.generation import generation_events
from toolkit.memory.replay.orders import follow
from toolkit.memory.replay.other_streams import other_streams
from toolkit.memory.replay.partitioned import loaded_whole, reserved_in_parts
from toolkit.memory.replay.replicated import ReplicatedRun
from toolkit.memory.replay.sharded import sharded_runs
from toolkit.memory.replay.staged import StagedRun
from toolkit.memory.replay.training import Run
from toolkit.memory.tape.recording import programs_of
from toolkit.memory.weights.numerics import FOUR_BIT, TORCHTITAN
from toolkit.memory.weights.sums import Sums
from toolkit.spec.fields.objective import PREFERENCES
from toolkit.spec.fields.process import DEVICE_MAP
from toolkit.spec.settings.setting import Setting

ALONE = ("none", "ddp")
"""Strategies under which a GPU runs the whole model, and as if alone."""

ELSEWHERE = frozenset({"engine", "gpu", "run", "stack"})
"""Fields of a setting that move no run, or that are in a key as what they move: a workspace, a limit, sums."""

_own_fields = attrgetter(*(one.name for one in fields(Setting) if one.name not in ELSEWHERE))

SHARED_SEGMENTS = LARGE_SEGMENT + SMALL_SEGMENT
"""The last segment of requests of 1 to 10 MiB and that of smaller ones.

Whether either is opened goes by a few KiB, as of tensors that rows leave out or count as one.
"""

KEPT = 1 << 14
"""More runs than any table has: all are replayed ahead, and what is forgotten before it is compared is done again."""

Worked = tuple[int, int, int, int]
"""The least and the most that is reserved, the most that is alive, and the largest request."""

Asked = tuple[Context, int | None]
"""A run, and the bytes beyond which nothing is followed: a card without room for more is full, whatever is asked."""

Key = tuple[object, ...]

_KNOWN: dict[tuple[Key, int | None], tuple[Worked, Programs, Sums]] = {}
"""What was worked out by what moves it, with what its keys name."""


def replayed(known: Estimate, limit: int | None = None) -> Interval:
    """The least and the most that the caching allocator reserves, in bytes; the estimate's bounds where none is known.

    Worked out when somebody asks, for it takes a hundred times as long as an estimate. Where there is more than a
    `limit`, nothing else is known of it.
    """
    context = _run_of(known)
    if context is None:
        return known.reserved
    low, high, alive, _ = worked_out(context, limit)
    missing = max(known.allocated - context.sums.unsplit - alive, 0)  # what no event is of; ends of blocks are replayed
    whole = missing // SEGMENT_UNIT * SEGMENT_UNIT  # the rest may be where a segment has room
    low, high = max(low + whole - SHARED_SEGMENTS, known.allocated), high + missing + LAST_SEGMENTS
    if isinstance(context.sharing, Zero3):  # hooks let go of weights and gradients in an order that is not followed
        apart = alive if context.sharing.overlaps else 0  # the peaks of three pools: none has blocks of another
        low = min(low, max(known.reserved[0], apart, loaded_whole(context)))
    if context.stage is not None:  # when other GPUs let go of what they are sent is not followed
        low = known.allocated
    return (low, max(high, known.reserved[1])) if _is_exceeded(context) else (low, high)


def reserved_on_card(known: Estimate, *, runs: bool = False) -> Interval:
    """The same on the card that the setting names, which may be full: then all free segments go back to it.

    That happens when a request finds no room (alloc_block, release_cached_blocks): until then all was reserved but
    what is asked for. `runs`: even where more is allocated than the card has, it may be run on it, for an estimate may
    be too large; nothing that is free is kept there.
    """
    capacity, context = capacity_of(known.setting.gpu or ""), _run_of(known)
    if runs and capacity is not None and known.allocated > capacity[1]:
        return known.allocated, known.allocated
    low, high = held_on_card(known)
    if capacity is None or context is None or _is_exceeded(context) or high <= capacity[0]:
        return low, high
    limit = _limit_of(known)
    filled = capacity[0] - segment_size(worked_out(context, limit)[3])
    return max(low, min(replayed(known, limit)[0], filled)), high


def held_on_card(known: Estimate) -> Interval:
    """The same at a time: once the card was full, anything from what is allocated to what it has."""
    capacity = capacity_of(known.setting.gpu) if known.setting.gpu is not None else None
    found = replayed(known, _limit_of(known))
    if capacity is None or found[1] <= capacity[0] or known.allocated > capacity[1]:
        return found
    return min(found[0], known.allocated), max(min(found[1], capacity[1]), known.allocated)


def shown_by_card(known: Estimate) -> Interval:
    """What the card shows when somebody looks at it, as monitors do every second or after the run."""
    if known.context is not None and known.context.serves:
        return known.device
    setting = known.setting
    return device_interval(held_on_card(known), setting.gpu, setting.parallel, setting.stack.versions)


def runs_of(estimates: Iterable[Estimate]) -> Iterator[Asked]:
    """The runs that estimates are replayed by, of those of which more than bounds is known."""
    for one in estimates:
        context = _run_of(one)
        if context is not None:
            yield context, _limit_of(one)


def worked_out(context: Context, limit: int | None = None) -> Worked:
    """What is worked out by replaying a run, once; all of it where that is no more than a limit."""
    known = _known(context, limit)
    return known if known is not None else remember(context, limit, _worked_out(context, programs_of(context), limit))


def remember(context: Context, limit: int | None, worked: Worked) -> Worked:
    """Keeps what was worked out, here or in another process."""
    if len(_KNOWN) >= KEPT:
        _KNOWN.clear()
    reached = limit if limit is not None and worked[1] > limit else None
    programs = programs_of(context)
    _KNOWN[_key(context, programs), reached] = worked, programs, context.sums
    return worked


def _known(context: Context, limit: int | None) -> Worked | None:
    """What was worked out without a limit, or with this one."""
    key = _key(context, programs_of(context))
    known = _KNOWN.get((key, None)) or _KNOWN.get((key, limit))
    return known[0] if known is not None else None


def _key(context: Context, programs: Programs) -> Key:
    """All that a run follows from. Sums are kept for each stack by themselves, with all of its releases."""
    setting = context.setting
    stack = setting.stack.trainer, setting.stack.loss, setting.stack.result
    known = id(programs), id(context.sums), context.scale, context.sharing, context.workspace
    return *known, *stack, *_own_fields(setting)


def _limit_of(known: Estimate) -> int | None:
    """What the card gives at most, where a run fits on one: were more reserved, it would be full all the same."""
    gpu = known.setting.gpu
    capacity = capacity_of(gpu) if gpu is not None else None
    return None if capacity is None or known.allocated > capacity[1] else capacity[1]


def _run_of(known: Estimate) -> Context | None:
    """The run of an estimate with the workspace of its own GPU; None where only bounds are known."""
    context = known.context
    if context is None or context.serves or not (_is_staged(context) or _is_known(context)):
        return None
    return replace(context, workspace=workspace_bytes(known.setting.gpu, known.setting.stack.versions))


def _is_exceeded(context: Context) -> bool:
    """Whether more may be reserved than is replayed.

    How tokens are shared out among experts is not known, so that tensors have other sizes in each layer. And under FSDP
    and ZeRO 1 and 2 published readings of full fine-tuning lie up to a tenth above, for a reason not found yet: with
    FSDP it is not that a joined gradient is free only when the stream that shares it out is done with it, for there is
    room then.
    """
    if any(kind.feed_forward.experts for kind in context.architecture.layers):
        return True
    sharing = context.sharing
    shares = isinstance(sharing, Spread) or (isinstance(sharing, Zero) and not isinstance(sharing, Zero3))
    return shares and context.setting.method == "full"


def _is_staged(context: Context) -> bool:
    """Whether a GPU has a part of the layers of a model that is trained, and nothing that only bounds are known of."""
    stage = context.stage
    offloads = context.setting.activation_offloading
    return stage is not None and stage.layers > 0 and context.setting.trains and not offloads


def _is_known(context: Context) -> bool:
    setting = context.setting
    if len({kind.stack for kind in context.architecture.layers}) > 1:
        return False  # a decoder's layers have the encoder's result beside their own input
    if any(kind.attention.shares_keys for kind in context.architecture.layers):
        return False  # the last layers see one token of a prompt
    setting = context.setting
    if any((setting.objective in PREFERENCES, setting.optimizer_in_backward, setting.activation_offloading)):
        return False  # a second pass without gradients, steps between gradients, copies on a stream of their own
    if context.setting.cache is not None:
        return False  # static and quantized caches do not grow as those that are followed
    if context.architecture.family in (LITGPT, AUTOAWQ) and not context.setting.trains:
        return False  # they have their caches before the prompt, and make every weight or some of them twice
    if context.setting.parallel.strategy in ALONE:
        return True
    if isinstance(context.sharing, Shards):
        return context.setting.stack.trainer == TORCHTITAN  # which loads no weight whole
    if isinstance(context.sharing, Zero3) and setting.weights in FOUR_BIT:
        return False  # packed weights come in elements of another size
    if ignores_mixtures(setting):
        return False  # what FSDP leaves out is loaded and trained beside its units
    return isinstance(context.sharing, Spread | Zero) and context.setting.trains


def _worked_out(context: Context, programs: Programs, limit: int | None) -> Worked:
    sharing = context.sharing
    if isinstance(sharing, Spread):
        beside = other_streams(context, sharing)
        first, *others = sharded_runs(context, programs, sharing)
        computing = follow_run(first, limit=limit)
        found = [computing.reserved, *(follow_run(run, swaps=False, limit=limit).reserved for run in others)]
        alive = computing.alive + beside[0]
        least, most = min(low for low, _ in found) + beside[0], max(high for _, high in found) + beside[1]
        return least, most, alive, max(computing.largest, sharing.root)
    if isinstance(sharing, Shards):
        return reserved_fully_sharded(context, programs, sharing, limit)
    if isinstance(sharing, Zero3):
        return reserved_in_parts(context, programs, sharing, limit)
    if isinstance(sharing, Zero):
        return reserved_in_buckets(context, programs, sharing, limit)
    warms = context.setting.loading in (None, DEVICE_MAP) and not older(context.setting, PACKAGE, WARMS)
    if not context.setting.trains:
        (low, high), alive, largest = follow(generation_events(context, programs), warms=warms, limit=limit)
        return low, high, alive, largest
    if context.stage is not None:
        staged = StagedRun(context, on_gpu_alone(programs, context), context.stage)
        (low, high), alive, largest = follow_run(staged, warms=warms, limit=limit)
        return low, high, alive, largest
    run = ReplicatedRun if replicates(context.setting) else Run
    (low, high), alive, largest = follow_run(run(context, programs), warms=warms, limit=limit)
    if hides_results(context):
        (_, held), *_ = follow_run(run(context, programs, holds=True), swaps=False, limit=limit)
        high = max(high, held)
    return low, high, alive, largest
