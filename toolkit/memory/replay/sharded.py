"""Training under FSDP, as events of the stream that computes; what other streams take is a pool of its own each.

A unit's tensors are gathered on the stream that unshards and its gradient's part is made on the stream that reduces,
and the caching allocator gives a block only to the stream that it was made for (c10/cuda/CUDACachingAllocator.cpp;
torch/distributed/fsdp/_runtime_utils.py).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence

from toolkit.memory.architecture import ModuleKind
from toolkit.memory.context import Context
from toolkit.memory.formula.caches.kv_cache import cached_bytes
from toolkit.memory.formula.ends.outputs import fills_caches, hides_results
from toolkit.memory.parallel.plan import gathered_setting
from toolkit.memory.parallel.slices import sees_tensors
from toolkit.memory.parallel.spread import Spread
from toolkit.memory.parallel.units import is_sharded, units_of
from toolkit.memory.programs.programs import Programs
from toolkit.memory.replay.broadcast import broadcast, sends_states
from toolkit.memory.replay.events import Block
from toolkit.memory.replay.loading import in_layers, of_trained, stored_bytes
from toolkit.memory.replay.other_streams import ahead_of_gpu, units_in_flight
from toolkit.memory.replay.training import Run
from toolkit.memory.size import BYTES
from toolkit.memory.weights.storage import FLOATS, StoredTensor, storage_of
from toolkit.memory.weights.sums import Trained


def sharded_runs(context: Context, programs: Programs, spread: Spread) -> Iterator[ShardedRun]:
    """A run for each thing that a setting leaves open of FSDP.

    With use_orig_params the states are those of the tensors that a part is made of, else of the part. Some loaders
    bring no unit to the GPU whole, unless one GPU sends it to the others. Joined gradients are late as the GPU is.
    """
    full, sees = context.setting.method == "full", sees_tensors(context.setting)
    asks = bool(sees)
    late = int(ahead_of_gpu(context))
    yield ShardedRun(context, programs, spread, by_tensor=full and asks, late=late)
    if not context.setting.parallel.loads_whole and not context.setting.parallel.sync_module_states:
        yield ShardedRun(context, programs, spread, by_tensor=full and asks, in_parts=True, late=late)
    if hides_results(context):
        yield ShardedRun(context, programs, spread, holds=True, late=late)
    if fills_caches(context):
        yield ShardedRun(context, programs, spread, holds=True, caches=True, late=late)
    if full and sees is None:
        yield ShardedRun(context, programs, spread, by_tensor=True, late=late)
    if full:
        yield ShardedRun(context, programs, spread, by_tensor=asks, late=units_in_flight(context) + 1)


class ShardedRun(Run):
    """A run on one of several GPUs. A model comes unit by unit, or `in_parts`; `by_tensor` says what has states.

    With `caches` each layer leaves keys and values, which the result holds until the next one takes its name. So many
    joined gradients may be `late`: they are recorded for the stream that shares them out, and their blocks are free
    once it is done with them (_runtime_utils.py, _reduce_grad).
    """

    def __init__(
        self,
        context: Context,
        programs: Programs,
        spread: Spread,
        *,
        in_parts: bool = False,
        by_tensor: bool = False,
        holds: bool = False,
        caches: bool = False,
        late: int = 0,
    ) -> None:
        super().__init__(context, programs, retains=spread.retains, holds=holds)
        self._spread = spread
        setting = context.setting
        self._units = units_of(context.architecture, gathered_setting(setting), setting.parallel.gpus)
        self._item = BYTES[setting.weights] if setting.weights in FLOATS else self._units.item
        stored = storage_of(context.architecture, setting)
        shared = list(in_layers((one for one in stored if is_sharded(one)), lambda one: one.module.count))
        self._kept = [one for one in stored if not is_sharded(one)]
        self._members = _members(shared, len(self._units.layers), embedding=self._units.embedding > 0)
        self._in_parts = in_parts
        self._by_tensor = by_tensor
        self._layer = len(self._units.layers)
        cached = cached_bytes(context, context.setting.sequence_length) if caches else 0
        self._cached = cached // (2 * max(1, len(self._units.layers)))  # the keys of a layer, or its values
        self._caches: list[Block] = []
        self._late = late
        self._waiting: list[Block] = []

    def said(self) -> Hashable:
        """Also what the methods read that passes and steps call."""
        return super().said(), self._units, self._spread, self._cached, self._late

    def load(self) -> None:
        """Every unit's tensors are joined in one, of which a copy of the part stays; then adapters.

        With `loads_whole` all tensors are there before. A unit's are there until its part is, in a list of the function
        that shards it (_init_utils.py, _init_param_handle_from_module).
        """
        context, events = self._context, self._writer.events
        whole = context.setting.parallel.loads_whole
        before = [self._made(members) if whole else [] for members in self._members]
        kept = list(in_layers(self._kept, lambda one: one.module.count))
        scales = self._made(kept) if whole else []
        for part, members in zip(self._units.in_order, self._members, strict=True):
            tensors = before.pop(0) or ([] if self._in_parts else self._made(members))
            if sends_states(context.setting):
                broadcast(events, (("", events.sizes[block]) for block in tensors))
            joined = 0 if self._in_parts else events.allocate(part * self._units.gpus * self._item)
            if not context.setting.parallel.offload:
                events.allocate(part * self._item)
            events.release(joined)
            events.release_all(tensors)
        if not scales:
            self._made(kept)
        events.is_loaded()
        if context.numerics.adapter is not None:
            width = BYTES[context.numerics.adapter]
            events.allocate_all(of_trained(context, lambda one: one.elements * width))

    def _made(self, tensors: Iterable[StoredTensor]) -> Sequence[Block]:
        return self._writer.events.allocate_all(map(stored_bytes, tensors))

    def after_forward(self, place: int) -> None:
        """Its keys and values."""
        del place
        self._caches += [self._writer.events.allocate(self._cached) for _ in range(2)]

    def before_backward(self, place: int) -> None:
        """The result has a name, so that the last one has none."""
        layers = len(self._units.layers)
        if place == layers - 1:
            self._writer.release(*self._caches[: -2 * layers])
            del self._caches[: -2 * layers]

    def after_layer(self, gradients: int) -> None:
        """The gradients of a unit's tensors are joined in one, of which the other stream makes the part."""
        self._layer -= 1
        self._reduce(self._units.gathered(self._units.layers[self._layer]), gradients)

    def after_backward(self) -> None:
        """The same for an embedding of its own, and for the root."""
        if self._spread.embedding:
            self._reduce(self._spread.embedding, len(self._writer.gradients) - 1)
        self._reduce(self._spread.root, 0)
        self._writer.release(*self._waiting)
        self._waiting.clear()
        self._layer = len(self._units.layers)

    def _reduce(self, unit: int, gradients: int) -> None:
        if self._spread.whole:
            return
        writer = self._writer
        joined = writer.events.allocate(unit if self._spread.trains else 0)  # an adapter is a unit with one tensor
        writer.release(*writer.gradients[gradients:])
        del writer.gradients[gradients:]
        self._waiting.append(joined)
        while len(self._waiting) > self._late:
            writer.release(self._waiting.pop(0))

    def states(self) -> Iterator[Trained]:
        """Whatever has states: parts, or what of each tensor is in a part."""
        if not self._by_tensor or self._context.setting.parallel.offload:
            yield from super().states()
            return
        forms: dict[tuple[int, bool], Trained] = {}  # one object for tensors that are alike, as of a model's forms
        for part, members in zip(self._units.in_order, self._members, strict=True):
            left = part
            for one in members:
                form = min(left, one.part.elements), one.module.kind is ModuleKind.EMBEDDING
                if form not in forms:
                    forms[form] = Trained(form[:1], 1, embedding=form[1])
                yield forms[form]
                left -= form[0]


def _members(shared: Sequence[StoredTensor], layers: int, *, embedding: bool) -> list[list[StoredTensor]]:
    """The tensors of each layer, and last those of the root; before all the `embedding`, where it is a unit."""
    inside = [one for one in shared if one.module.count >= layers and one.module.layers != ("",)]
    each = len(inside) // layers if layers else 0
    units = [inside[place * each : (place + 1) * each] for place in range(layers)]
    outside = [one for one in shared if one.module.layers == ("",)]
    if not embedding:
        return [*units, outside]
    apart = [one for one in outside if one.module.kind is ModuleKind.EMBEDDING]
    return [apart, *units, [one for one in outside if one not in apart]]
