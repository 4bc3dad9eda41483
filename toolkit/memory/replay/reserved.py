"""What a setting reserves on a GPU: its events replayed through the caching allocator, by how it is spread."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields, replace
from operator import attrgetter
from typing import NamedTuple

from toolkit.memory.allocator.caching import LARGE_SEGMENT, SMALL_SEGMENT, segment_size
from toolkit.memory.allocator.card import capacity_of
from toolkit.memory.architecture.autoawq import FAMILY as AUTOAWQ
from toolkit.memory.architecture.litgpt import FAMILY as LITGPT
from toolkit.memory.context import Context
from toolkit.memory.contexts import on_gpu_alone
from toolkit.memory.device import LAST_SEGMENTS, SEGMENT_UNIT, Interval, device_interval, workspace_bytes
from toolkit.memory.estimate import Estimate
from toolkit.memory.formula.ends.outputs import hides_results
from toolkit.memory.libraries.trainers import MEGATRON, TORCHTITAN
from toolkit.memory.libraries.versions import older
from toolkit.memory.loading.unsplit import PACKAGE, WARMS
from toolkit.memory.loading.ways import moves
from toolkit.memory.parallel.buckets import replicates
from toolkit.memory.parallel.ignored import ignores_mixtures
from toolkit.memory.parallel.placement import Stage
from toolkit.memory.parallel.shard_moments import Shards
from toolkit.memory.parallel.spread import Spread
from toolkit.memory.parallel.zero_moments import Zero, Zero3
from toolkit.memory.programs.programs import Programs
from toolkit.memory.replay.bucketed import reserved_in_buckets
from toolkit.memory.replay.followed import follow_run
from toolkit.memory.replay.fully_sharded import reserved_fully_sharded
from toolkit.memory.replay.generation import generation_events
from toolkit.memory.replay.orders import Followed, follow
from toolkit.memory.replay.other_streams import other_streams
from toolkit.memory.replay.partitioned import loaded_whole, reserved_in_parts
from toolkit.memory.replay.replicated import ReplicatedRun
from toolkit.memory.replay.scheduled import ScheduledRun
from toolkit.memory.replay.sharded import sharded_runs
from toolkit.memory.replay.staged import StagedRun
from toolkit.memory.replay.training import Run
from toolkit.memory.tape.recording import programs_of
from toolkit.memory.weights.linear_storage import FOUR_BIT
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

MOST_ON_THEIR_WAY = 4096
"""Layers through which micro-batches of a step go on one stage, up to which all of them are followed."""

KEPT = 1 << 14
"""More runs than any table has; what is forgotten before it is compared is done again."""


class Worked(NamedTuple):
    """What a run was found to reserve, in bytes: `alive` is the peak of live tensors, `largest` the largest request.

    `counted` is the most that torch counts, as of Followed; empty where streams have pools of their own.
    """

    low: int
    high: int
    alive: int
    largest: int
    counted: tuple[int, ...] = ()


Asked = tuple[Context, int | None]
"""A run, and the bytes beyond which nothing is followed: a card without room for more is full, whatever is asked."""

Key = tuple[object, ...]

_KNOWN: dict[tuple[Key, bool, int | None], tuple[Worked, Programs, Sums]] = {}
"""What was worked out by what moves it, with what its keys name."""


def replayed(known: Estimate, limit: int | None = None) -> Interval:
    """The least and the most that the caching allocator reserves, in bytes; the estimate's bounds where none is known.

    Worked out when somebody asks, for it takes a hundred times as long as an estimate. Where there is more than a
    `limit`, nothing else is known of it.
    """
    context = _run_of(known)
    if context is None:
        return known.reserved
    low, high, alive, *_ = worked_out(context, limit)
    missing = max(known.allocated - context.sums.unsplit - alive, 0)  # what no event is of; ends of blocks are replayed
    whole = missing // SEGMENT_UNIT * SEGMENT_UNIT  # the rest may be where a segment has room
    low, high = max(low + whole - SHARED_SEGMENTS, known.allocated), high + missing + LAST_SEGMENTS
    if isinstance(context.sharing, Zero3):  # hooks let go of weights and gradients in an order that is not followed
        apart = alive if context.sharing.overlaps else 0  # the peaks of three pools: none has blocks of another
        low = min(low, max(known.reserved[0], apart, loaded_whole(context)))
    if context.stage is not None and context.setting.trains:
        low = _of_stage(known, context, context.stage, low)
    return (low, max(high, known.reserved[1])) if _is_exceeded(context) else (low, high)


def _of_stage(known: Estimate, context: Context, stage: Stage, low: int) -> int:
    """The least that a part of a pipeline reserves.

    When other GPUs let go of what they are sent is not followed, and of results that are returned not which free blocks
    they are put in. With a schedule each micro-batch on its way may open a segment more or less of small requests.
    """
    if not stage.scheduled or (stage.projects and context.setting.parallel.returns_outputs):
        return known.allocated
    return max(low - LAST_SEGMENTS + SHARED_SEGMENTS, known.allocated)


def counted(known: Estimate) -> Interval:
    """The most that torch counts as allocated, in bytes: live tensors by their whole blocks.

    What a block has more than was asked for is not split off where it is 1 MiB or less (CUDACachingAllocator.cpp,
    should_split). Of runs on one GPU, whose order of events says which blocks there are; elsewhere live tensors alone.
    Two ends where a model that is trained may have been loaded after one block for all its weights, or not; in
    inference it is loaded as its release loads to a GPU, as where its weights are counted.
    """
    context, limit = _run_of(known), _limit_of(known)
    alone = known.allocated, known.allocated
    if context is None or context.sharing is not None or (context.stage is not None and not context.setting.trains):
        return alone
    worked = worked_out(context, limit, swaps=limit is not None)  # whether more is reserved than that goes by the order
    if not worked.counted or (limit is not None and worked.high > limit):
        return alone
    missing = max(known.allocated - context.sums.unsplit - worked.alive, 0)
    ends = [max(blocks + missing, known.allocated) for blocks in _ways(context.setting, worked.counted)]
    return min(ends), max(ends)


def _ways(setting: Setting, counted: tuple[int, ...]) -> tuple[int, ...]:
    """What is counted by the ways in which a model may be loaded: tensor by tensor, and after a block for all."""
    if moves(setting):
        return counted[:1]
    return counted if setting.trains else counted[-1:]


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
    filled = capacity[0] - segment_size(worked_out(context, limit).largest)
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


def worked_out(context: Context, limit: int | None = None, *, swaps: bool = True) -> Worked:
    """What is worked out by replaying a run, once; all of it where that is no more than a limit.

    Without `swaps` as of `follow`: enough for what is counted, and for nothing that is reserved.
    """
    programs = programs_of(context)
    key = _key(context, programs)
    known = _KNOWN.get((key, True, None)) or _KNOWN.get((key, True, limit)) or _KNOWN.get((key, swaps, limit))
    if known is not None:
        return known[0]
    worked = _worked_out(context, programs, limit, swaps=swaps)
    if len(_KNOWN) >= KEPT:
        _KNOWN.clear()
    reached = limit if limit is not None and worked.high > limit else None
    _KNOWN[key, swaps, reached] = worked, programs, context.sums
    return worked


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
    """Whether a GPU has a part of a model's layers, and nothing that only bounds are known of."""
    stage = context.stage
    if stage is None or stage.layers == 0 or context.setting.stack.trainer == MEGATRON:
        return False
    if stage.scheduled and context.setting.gradient_accumulation * stage.layers > MOST_ON_THEIR_WAY:
        return False
    return not context.setting.activation_offloading if context.setting.trains else _is_followed(context)


def _is_followed(context: Context) -> bool:
    """Whether the passes of a run are those that are followed, however many GPUs there are."""
    setting = context.setting
    if setting.stack.trainer == MEGATRON:
        return False  # whose buffers and optimizer are made in an order of their own
    if len({kind.stack for kind in context.architecture.layers}) > 1:
        return False  # a decoder's layers have the encoder's result beside their own input
    if any(kind.attention.shares_keys for kind in context.architecture.layers):
        return False  # the last layers see one token of a prompt
    if any((setting.objective in PREFERENCES, setting.optimizer_in_backward, setting.activation_offloading)):
        return False  # a second pass without gradients, steps between gradients, copies on a stream of their own
    if context.setting.cache is not None:
        return False  # static and quantized caches do not grow as those that are followed
    # LitGPT and AutoAWQ have their caches before the prompt, and make every weight or some of them twice.
    return setting.trains or context.architecture.family not in (LITGPT, AUTOAWQ)


def _is_known(context: Context) -> bool:
    setting = context.setting
    if not _is_followed(context):
        return False
    if context.setting.parallel.strategy in ALONE:
        return True
    if isinstance(context.sharing, Shards):
        return context.setting.stack.trainer == TORCHTITAN  # which loads no weight whole
    if isinstance(context.sharing, Zero3) and setting.weights in FOUR_BIT:
        return False  # packed weights come in elements of another size
    if ignores_mixtures(setting):
        return False  # what FSDP leaves out is loaded and trained beside its units
    return isinstance(context.sharing, Spread | Zero) and context.setting.trains


def _worked_out(context: Context, programs: Programs, limit: int | None, *, swaps: bool) -> Worked:
    sharing = context.sharing
    if isinstance(sharing, Spread):
        beside = other_streams(context, sharing)
        first, *others = sharded_runs(context, programs, sharing)
        computing = follow_run(first, limit=limit)
        found = [computing.reserved, *(follow_run(run, swaps=False, limit=limit).reserved for run in others)]
        alive = computing.alive + beside[0]
        least, most = min(low for low, _ in found) + beside[0], max(high for _, high in found) + beside[1]
        return Worked(least, most, alive, max(computing.largest, sharing.root))
    if isinstance(sharing, Shards):
        return Worked(*reserved_fully_sharded(context, programs, sharing, limit))
    if isinstance(sharing, Zero3):
        return Worked(*reserved_in_parts(context, programs, sharing, limit))
    if isinstance(sharing, Zero):
        return Worked(*reserved_in_buckets(context, programs, sharing, limit))
    warms = context.setting.loading in (None, DEVICE_MAP) and not older(context.setting, PACKAGE, WARMS)
    if not context.setting.trains:
        own = programs if context.stage is None else on_gpu_alone(programs, context)
        return _of_one(follow(generation_events(context, own), warms=warms, swaps=swaps, limit=limit))
    if context.stage is not None and context.stage.scheduled:
        return _on_schedule(context, on_gpu_alone(programs, context), context.stage, limit, swaps=swaps)
    if context.stage is not None:
        staged = StagedRun(context, on_gpu_alone(programs, context), context.stage)
        return _of_one(follow_run(staged, warms=warms, swaps=swaps, limit=limit))
    run = ReplicatedRun if replicates(context.setting) else Run
    worked = _of_one(follow_run(run(context, programs), warms=warms, swaps=swaps, limit=limit))
    if swaps and hides_results(context):
        (_, held), *_ = follow_run(run(context, programs, holds=True), swaps=False, limit=limit)
        return worked._replace(high=max(worked.high, held))
    return worked


def _of_one(found: Followed) -> Worked:
    return Worked(*found.reserved, found.alive, found.largest, found.counted)


def _on_schedule(context: Context, programs: Programs, stage: Stage, limit: int | None, *, swaps: bool) -> Worked:
    """What a stage of a pipeline reserves, wherever its code lets go of the last result."""
    found: list[Followed] = []
    for late in (False, True) if stage.projects else (False,):
        run = ScheduledRun(context, programs, stage, late=late)
        found.append(follow_run(run, swaps=swaps and not late, limit=limit))
    low, high = min(one.reserved[0] for one in found), max(one.reserved[1] for one in found)
    counted = min(one.counted[0] for one in found), max(one.counted[1] for one in found)
    return Worked(low, high, max(one.alive for one in found), max(one.largest for one in found), counted)
