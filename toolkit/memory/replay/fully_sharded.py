"""torchtitan's training under fully_shard, as events of three streams, each with a pool of blocks of its own.

The buffer in which a unit is gathered belongs to the copy-in stream, and the parts of its gradients to the reduce
stream; the tensors of a unit, and the buffer from which its gradients are sent, belong to the compute stream. Nothing
is recorded for another stream, so a block is free as soon as the Python code drops its tensor. Sources:
torch/distributed/fsdp/_fully_shard/_fsdp_param_group.py (unshard, wait_for_unshard, post_backward, finalize_backward),
_fsdp_collectives.py (foreach_all_gather, foreach_reduce) and _fsdp_state.py of torch 2.13.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from toolkit.memory.architecture import ModuleKind
from toolkit.memory.context import Context
from toolkit.memory.device import Interval
from toolkit.memory.formula.position_tables import position_tables
from toolkit.memory.ledger import PhaseName
from toolkit.memory.parallel.shard_moments import Shards
from toolkit.memory.parallel.shard_rows import part_of
from toolkit.memory.programs.programs import Programs
from toolkit.memory.replay.events import Block, Events
from toolkit.memory.replay.loading import in_layers
from toolkit.memory.replay.orders import reserved
from toolkit.memory.replay.training import Run
from toolkit.memory.size import BYTES
from toolkit.memory.weights.storage import storage_of


@dataclass(slots=True)
class _Unit:
    """Tensors that are gathered together: the elements of a GPU's part of each, and the blocks of the full tensors."""

    parts: list[int]
    whole: list[Block] = field(default_factory=list)
    coming: Block = 0

    @property
    def elements(self) -> int:
        return sum(self.parts)


class FullyShardedRun(Run):
    """A run on one of several GPUs, whose weights are cast as they are gathered."""

    def __init__(self, context: Context, programs: Programs, shards: Shards) -> None:
        super().__init__(context, programs)
        setting = context.setting
        self._shards = shards
        self._gpus = setting.parallel.gpus
        self._stored = [*in_layers(storage_of(context.architecture, setting), lambda one: one.module.count)]
        self._item = BYTES[setting.compute]
        self._reduced = self._item * shards.widens
        grows = setting.expandable_segments
        self.gathering, self.reducing = Events(grows=grows), Events(grows=grows)
        self._embedding, self._layers_of, self._end = self._units()
        self._units_outside = (self._embedding, self._end) if shards.apart else (self._joined(),)
        self._last: Block = 0  # the buffer that stays until the next unit has been copied out
        self._sent: Block = 0
        self._made: list[Block] = []

    def _units(self) -> tuple[_Unit, list[_Unit], _Unit]:
        around: dict[ModuleKind, _Unit] = {}
        inside: list[int] = []
        for one in self._stored:
            part = part_of(one.tensor.shape, self._gpus)
            if "{}" in one.module.path:
                inside.append(part)
            else:
                is_first = one.module.kind is ModuleKind.EMBEDDING
                unit = around.setdefault(ModuleKind.EMBEDDING if is_first else ModuleKind.LINEAR, _Unit([]))
                unit.parts.append(part)
        each = len(inside) // self._shards.layers
        layers = [_Unit(inside[place * each : (place + 1) * each]) for place in range(self._shards.layers)]
        return around[ModuleKind.EMBEDDING], layers, around[ModuleKind.LINEAR]

    def _joined(self) -> _Unit:
        return _Unit([*self._embedding.parts, *self._end.parts])

    def load(self) -> None:
        """A GPU's parts, one tensor each, in the dtype in which they are stored; then the table of positions."""
        events = self._writer.events
        for one in self._stored:
            events.allocate(part_of(one.tensor.shape, self._gpus) * BYTES[self._context.setting.weights])
        for table in position_tables(self._context, PhaseName.LOAD):
            events.allocate(table)
        events.is_loaded()

    def pass_through(self, *, accumulates: bool) -> None:
        """One pass; the root or the embedding is gathered first, and no gradients accumulate in the pass's dtype."""
        del accumulates
        first = self._units_outside[0]
        self._forward(first)
        if self._shards.apart:
            self._reshard(first)
        super().pass_through(accumulates=False)

    def before_layer(self, place: int) -> None:
        """The layer is gathered, unless it still is."""
        self._forward(self._layers_of[place])

    def after_forward(self, place: int) -> None:
        """The layer is freed, unless it is the last one and stays."""
        if self._shards.reshards and not (self._shards.stays and place == self._shards.layers - 1):
            self._reshard(self._layers_of[place])

    def before_end(self) -> None:
        """The end is gathered if it is a unit; the last buffer is freed when the model returns."""
        if self._shards.apart:
            self._forward(self._end)
        self.gathering.release(self._last)
        self._last = 0

    def before_backward(self, place: int) -> None:
        """The layer is gathered and the one before it prefetched; before the last layer, the end is reduced."""
        if place == self._shards.layers - 1:
            if self._shards.apart:
                self._gather(self._layers_of[place])
                self._reduce(self._end, 0)
            else:
                self._gather(self._layers_of[place])
        self._arrive(self._layers_of[place])
        if place:
            self._gather(self._layers_of[place - 1])
        elif self._shards.apart:
            self._gather(self._embedding)

    def after_layer(self, gradients: int) -> None:
        """The layer's gradients are sent from a copy."""
        place = next(place for place in reversed(range(self._shards.layers)) if self._layers_of[place].whole)
        self._reduce(self._layers_of[place], gradients)

    def after_backward(self) -> None:
        """What is outside the layers is reduced last; then all communication is done (finalize_backward)."""
        first = self._units_outside[0]
        self._arrive(first)
        self._reduce(first, 0)
        self._writer.release(self._sent)
        self._sent = 0

    def step(self) -> None:
        """The parts of the gradients are freed with the step."""
        super().step()
        for block in self._made:
            self.reducing.release(block)
        self._made.clear()

    def _forward(self, unit: _Unit) -> None:
        self._gather(unit)
        self.gathering.release(self._last)
        self._last = unit.coming
        self._copied_out(unit)
        unit.coming = 0

    def _gather(self, unit: _Unit) -> None:
        """The parts are cast into one tensor and gathered in one buffer, unless the unit is gathered already."""
        if unit.whole or unit.coming:
            return
        cast = self.gathering.allocate(unit.elements * self._item)
        unit.coming = self.gathering.allocate(unit.elements * self._gpus * self._item)
        self.gathering.release(cast)

    def _arrive(self, unit: _Unit) -> None:
        self._gather(unit)
        self._copied_out(unit)
        self.gathering.release(unit.coming)
        unit.coming = 0

    def _copied_out(self, unit: _Unit) -> None:
        if not unit.whole:
            unit.whole = [self._writer.events.allocate(part * self._gpus * self._item) for part in unit.parts]

    def _reshard(self, unit: _Unit) -> None:
        self._writer.release(*unit.whole)
        unit.whole = []

    def _reduce(self, unit: _Unit, gradients: int) -> None:
        """Frees the full tensors; gradients are copied to one buffer, after the previous one was sent, and freed."""
        writer = self._writer
        self._reshard(unit)
        writer.release(self._sent)
        self._sent = writer.events.allocate(unit.elements * self._gpus * self._reduced)
        writer.release(*writer.gradients[gradients:])
        del writer.gradients[gradients:]
        part = self.reducing.allocate(unit.elements * self._reduced)
        if len(self._made) < self._shards.layers + len(self._units_outside):
            self._made.append(part)
        else:  # added to that of an earlier micro-batch
            self.reducing.release(part)


def reserved_fully_sharded(
    context: Context, programs: Programs, shards: Shards, limit: int | None = None
) -> tuple[int, int, int, int]:
    """The least and the most that all streams reserve, the peak of what is alive, and the largest request, in bytes."""
    run = FullyShardedRun(context, programs, shards)
    events = run.events()
    low, high = reserved(events, limit=limit)
    beside: list[Interval] = [reserved(one, swaps=False) for one in (run.gathering, run.reducing)]
    least, most = low + sum(one for one, _ in beside), high + sum(one for _, one in beside)
    return least, most, least, max(*events.sizes, *run.gathering.sizes)
