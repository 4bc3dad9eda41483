"""Training under FSDP, as events of the stream that computes; what other streams take is a pool of its own each.

A unit's tensors are gathered on the stream that unshards and its gradient's part is made on the stream that reduces,
and the caching allocator gives a block only to the stream that it was made for (c10/cuda/CUDACachingAllocator.cpp;
torch/distributed/fsdp/_runtime_utils.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from packaging.version import Version

from toolkit.memory.allocator import MIN_BLOCK, SMALL_REQUEST, segment_size
from toolkit.memory.context import Context
from toolkit.memory.device import Interval
from toolkit.memory.formula.outputs import holds_results
from toolkit.memory.parallel.plan import gathered_setting, whole_adapters
from toolkit.memory.parallel.spread import MAX_IN_FLIGHT, Spread
from toolkit.memory.parallel.units import is_sharded, units_of
from toolkit.memory.programs import Programs
from toolkit.memory.replay.events import Block
from toolkit.memory.replay.loading import in_layers, stored_bytes, trained_in_order
from toolkit.memory.replay.pool import in_blocks, pool_reserved
from toolkit.memory.replay.training import Run
from toolkit.memory.size import BYTES
from toolkit.memory.storage import FLOATS, StoredTensor, storage_of
from toolkit.memory.sums import Trained, sums
from toolkit.memory.versions import older
from toolkit.spec.setting import Setting

BY_ACCELERATE = ("transformers", "trl")
"""Trainers that leave FSDP to accelerate."""

ASKS_FROM = Version("0.25")


def sharded_runs(context: Context, programs: Programs, spread: Spread) -> Iterator[ShardedRun]:
    """A run for each thing that a setting leaves open of FSDP.

    With use_orig_params the states are those of the tensors that a part is made of, else of the part: a Trainer asks
    for it. Some loaders bring no unit to the GPU whole.
    """
    full, asks = context.setting.method == "full", _asks_for_tensors(context.setting)
    yield ShardedRun(context, programs, spread, by_tensor=full and asks)
    if not context.setting.parallel.loads_whole:
        yield ShardedRun(context, programs, spread, by_tensor=full and asks, in_parts=True)
    if holds_results(context):
        yield ShardedRun(context, programs, spread, holds=True)
    if full and not asks:
        yield ShardedRun(context, programs, spread, by_tensor=True)


def _asks_for_tensors(setting: Setting) -> bool:
    """Whether FSDP is told use_orig_params where nobody says otherwise (accelerate commands/launch.py, 0.25).

    So does a Trainer that is told fsdp itself (transformers training_args.py).
    """
    return setting.stack.trainer in BY_ACCELERATE and not older(setting, "accelerate", ASKS_FROM)


class ShardedRun(Run):
    """A run on one of several GPUs. A model comes unit by unit, or `in_parts`; `by_tensor` says what has states."""

    def __init__(
        self,
        context: Context,
        programs: Programs,
        spread: Spread,
        *,
        in_parts: bool = False,
        by_tensor: bool = False,
        holds: bool = False,
    ) -> None:
        super().__init__(context, programs, retains=spread.retains, holds=holds)
        self._spread = spread
        setting = context.setting
        self._units = units_of(context.architecture, gathered_setting(setting), setting.parallel.gpus)
        self._item = BYTES[setting.weights] if setting.weights in FLOATS else self._units.item
        stored = storage_of(context.architecture, setting)
        shared = list(in_layers((one for one in stored if is_sharded(one)), lambda one: one.module.count))
        self._kept = [one for one in stored if not is_sharded(one)]
        self._members = _members(shared, len(self._units.layers))
        self._in_parts = in_parts
        self._by_tensor = by_tensor
        self._layer = len(self._units.layers)

    def load(self) -> None:
        """Every unit's tensors are joined in one, of which a copy of the part stays; then adapters.

        With `loads_whole` all tensors are there before.
        """
        context, events = self._context, self._writer.events
        whole = context.setting.parallel.loads_whole
        before = [self._made(members) if whole else [] for members in self._members]
        kept = list(in_layers(self._kept, lambda one: one.module.count))
        scales = self._made(kept) if whole else []
        for part, members in zip((*self._units.layers, self._units.root), self._members, strict=True):
            tensors = before.pop(0) or ([] if self._in_parts else self._made(members))
            joined = 0 if self._in_parts else events.allocate(part * self._units.gpus * self._item)
            for block in tensors:
                events.release(block)
            if not context.setting.parallel.offload:
                events.allocate(part * self._item)
            events.release(joined)
        if not scales:
            self._made(kept)
        events.loaded = len(events.order)
        if context.numerics.adapter is not None:
            for one in trained_in_order(context):
                events.allocate(one.elements * BYTES[context.numerics.adapter])

    def _made(self, tensors: Iterable[StoredTensor]) -> list[Block]:
        return [self._writer.events.allocate(stored_bytes(one)) for one in tensors]

    def after_layer(self, gradients: int) -> None:
        """The gradients of a unit's tensors are joined in one, of which the other stream makes the part."""
        self._layer -= 1
        self._reduce(self._units.gathered(self._units.layers[self._layer]), gradients)

    def after_backward(self) -> None:
        """The same for the root."""
        self._reduce(self._spread.root, 0)
        self._layer = len(self._units.layers)

    def _reduce(self, unit: int, gradients: int) -> None:
        if self._spread.whole:
            return
        writer = self._writer
        joined = writer.events.allocate(unit if self._spread.trains else 0)  # an adapter is a unit with one tensor
        writer.release(*writer.gradients[gradients:])
        del writer.gradients[gradients:]
        writer.release(joined)

    def states(self) -> Iterator[Trained]:
        """Whatever has states: parts, or what of each tensor is in a part."""
        if not self._by_tensor or self._context.setting.parallel.offload:
            yield from super().states()
            return
        for part, members in zip((*self._units.layers, self._units.root), self._members, strict=True):
            left = part
            for one in members:
                yield Trained((min(left, one.part.elements),), 1)
                left -= min(left, one.part.elements)


def _members(shared: Sequence[StoredTensor], layers: int) -> list[list[StoredTensor]]:
    """The tensors of each layer, and last those of the root."""
    inside = [one for one in shared if one.module.count >= layers and one.module.layers != ("",)]
    each = len(inside) // layers if layers else 0
    units = [inside[place * each : (place + 1) * each] for place in range(layers)]
    return [*units, [one for one in shared if one.module.layers == ("",)]]


def other_streams(context: Context, spread: Spread) -> Interval:
    """What is reserved for gathered units and for the parts of gradients, at least and at most, in bytes.

    A unit waits until the second one before it is free (_limiter_utils.py), and not for the first where the GPU is as
    fast as the code that drives it; in backward the next may be gathered ahead, by FSDP's backward_prefetch. Adapters
    are units, too, one after the other. What is shared out stays to the end of the step, unless it goes to the CPU.
    """
    ahead = int(spread.prefetches)
    offload, gpus = context.setting.parallel.offload, context.setting.parallel.gpus
    root, layer = segment_size(spread.root), segment_size(spread.layer)
    own = segment_size(spread.root // gpus), segment_size(spread.layer // gpus)
    before = own if offload or _is_cast(context.setting) else (0, 0)
    parts = 0
    if spread.trains and not offload:
        size = BYTES[context.setting.gradients]
        parts = sum(segment_size(one.elements * size) * one.count for one in context.sums.trained)
        if gathered_setting(context.setting).gradients != context.setting.gradients:
            parts += max(own)  # as it is shared out, before it is cast (_cast_grad_to_param_dtype)
    adapters = _adapters(context)
    shared = [(-(-size // gpus), count) for size, count in adapters]
    parts += _opened(size for size, count in shared for _ in range(1 if offload else count))
    gathered = _opened(size for size, _ in adapters) + (_opened(size for size, _ in shared) if offload else 0)
    least = root + layer + max(before)  # a layer's part may take the root's block
    return least + parts, root + before[0] + (1 + ahead + MAX_IN_FLIGHT) * (layer + before[1]) + parts + gathered


def _is_cast(setting: Setting) -> bool:
    """Whether a GPU's part of a unit is cast before it is gathered: under mixed precision.

    That, or its copy from main memory, is on a stream of its own (_init_streams, _use_low_precision_shard).
    """
    return setting.weights in FLOATS and gathered_setting(setting).weights != setting.weights


def _adapters(context: Context) -> list[tuple[int, int]]:
    """Bytes of each whole adapter, and how many there are of it; none where no adapter is a unit."""
    if context.numerics.adapter is None or whole_adapters(context.setting):
        return []
    item = BYTES[context.numerics.adapter]
    return [(one.elements * item, one.count) for one in sums(context.architecture, context.setting).trained]


def _opened(sizes: Iterable[int]) -> int:
    """What is reserved for tensors that are there together, on a stream of their own."""
    wanted = in_blocks((0, *sizes))
    is_small = [size * MIN_BLOCK <= SMALL_REQUEST for size in wanted]
    order = range(1, len(wanted))
    small = pool_reserved(wanted, [block for block in order if is_small[block]], small=True)
    return small + pool_reserved(wanted, [block for block in order if not is_small[block]])
