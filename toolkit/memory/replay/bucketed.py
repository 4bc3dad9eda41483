"""Training under ZeRO 1 and 2, as events of the stream that computes and, with overlap_comm, of the one that reduces.

Gradients are copied to a buffer, which is reduced once there is no room for another; this GPU's part of them stays.
Sources: deepspeed runtime/zero/stage_1_and_2.py (0.9 to 0.19): initialize_optimizer_states, setup_buckets,
reduce_independent_p_g_buckets_and_remove_grads, average_tensor, copy_grads_in_partition, step.
"""

from __future__ import annotations

from collections.abc import Iterator

from toolkit.memory.context import Context
from toolkit.memory.formula.ends.outputs import hides_results
from toolkit.memory.parallel.zero_moments import Zero
from toolkit.memory.programs.programs import Programs
from toolkit.memory.replay.events import Block, Events
from toolkit.memory.replay.loading import in_layers, stored_bytes
from toolkit.memory.replay.orders import Followed, follow, reserved
from toolkit.memory.replay.training import Run
from toolkit.memory.size import BYTES
from toolkit.memory.weights.storage import storage_of


class BucketedRun(Run):
    """A run on one of several GPUs, each of which has all weights and updates its part."""

    def __init__(self, context: Context, programs: Programs, zero: Zero, *, holds: bool = False) -> None:
        super().__init__(context, programs, holds=holds)
        self._zero = zero
        grows = context.setting.expandable_segments
        self.reducing = Events(grows=grows) if zero.overlaps else self._writer.events
        self._buffers: list[Block] = []
        self._inside = 0
        self._part: Block = 0
        self._earlier: Block = 0

    def load(self) -> None:
        """The weights, in one block where they are trained; then this GPU's part in float32, and its states.

        What was loaded before it was joined has been freed (empty_cache). A step with zero gradients makes the states.
        """
        context, zero, events = self._context, self._zero, self._writer.events
        if context.setting.method == "full":
            events.allocate(context.sums.weights)
        else:
            stored = in_layers(storage_of(context.architecture, context.setting), lambda one: one.module.count)
            events.allocate_all(map(stored_bytes, stored))
        events.is_loaded()
        if context.numerics.adapter is not None:
            events.allocate(context.sums.adapters * BYTES[context.numerics.adapter])
        wide = zero.updated * BYTES[context.setting.master_weights or "fp32"]
        events.allocate(wide)
        gradients = events.allocate(wide)
        super().step()
        events.release(gradients)
        events.allocate(zero.staged)
        events.allocate(zero.skipped)

    def pass_through(self, *, accumulates: bool) -> None:
        """One pass; with ZeRO 2 a gradient leaves its weight at once, so none accumulate there."""
        super().pass_through(accumulates=accumulates and self._zero.stage == 1)

    def before_loss(self) -> None:
        """Older releases make the buffers before the loss runs backward."""
        if self._zero.early:
            self._make_buffers()

    def before_backward(self, place: int) -> None:
        """The gradient of an output weight is the first."""
        del place
        self._leave()

    def after_layer(self, gradients: int) -> None:
        """Gradients go to the buffer one by one."""
        del gradients
        self._leave()

    def after_backward(self) -> None:
        """The rest of the gradients is reduced; with ZeRO 1 that is all of them."""
        self._leave(last=True)
        self._reduce()
        self._writer.release(*self._buffers)
        self._buffers.clear()
        if self._earlier:  # added to that of an earlier micro-batch
            self.reducing.release(self._part)
        else:
            self._earlier = self._part
        self._part = 0

    def step(self) -> None:
        """A GPU's part of the gradients is joined, cast where the optimizer has another dtype, and then that runs."""
        zero, events = self._zero, self._writer.events
        taken = events.allocate(zero.part)
        if zero.cast:
            flat, taken = taken, events.allocate(zero.updated * zero.cast)
            events.release(flat)
        self.reducing.release(self._earlier)
        self._earlier = 0
        super().step()
        events.release(taken)

    def _make_buffers(self) -> None:
        if not self._buffers and self._zero.buffers:
            each = self._zero.bucket // self._zero.buffers
            self._buffers = [self._writer.events.allocate(each) for _ in range(self._zero.buffers)]

    def _leave(self, *, last: bool = False) -> None:
        writer, limit = self._writer, self._zero.limit
        if not writer.gradients or (self._zero.stage == 1 and not last):
            return
        self._make_buffers()
        for block in writer.gradients:
            size = writer.events.sizes[block]
            if self._inside + size > limit:
                self._reduce()
            self._inside += size
            writer.release(block)
        writer.gradients.clear()

    def _reduce(self) -> None:
        """Reduces the buffer's gradients, in a copy where they are joined; the first time, this GPU's part is made."""
        if self._zero.copied:
            self.reducing.release(self.reducing.allocate(self._inside))
        if self._inside and not self._part:
            self._part = self.reducing.allocate(self._zero.kept)
        self._inside = 0


def bucketed_runs(context: Context, programs: Programs, zero: Zero) -> Iterator[BucketedRun]:
    """A run; and where the loop may keep a reference to the result, a run that does."""
    yield BucketedRun(context, programs, zero)
    if hides_results(context):
        yield BucketedRun(context, programs, zero, holds=True)


def reserved_in_buckets(
    context: Context, programs: Programs, zero: Zero, limit: int | None = None
) -> tuple[int, int, int, int]:
    """The least and the most that both streams reserve, the peak alive, and the largest request, in bytes."""
    found: list[Followed] = []
    for number, run in enumerate(bucketed_runs(context, programs, zero)):
        events = run.events()
        followed = follow(events, swaps=not number, limit=limit)
        low, high = followed.reserved
        alive = followed.alive
        if run.reducing is not events:
            beside = reserved(run.reducing, swaps=False)
            low, high, alive = low + beside[0], high + beside[1], alive + zero.kept
        found.append(Followed((low, high), alive, followed.largest, (alive, alive)))
    least, most = min(one.reserved[0] for one in found), max(one.reserved[1] for one in found)
    return least, most, found[0].alive, max(one.largest for one in found)
