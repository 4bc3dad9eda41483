"""Training under ZeRO 3, as events of the stream that computes, and what is gathered and shared out beside it.

DeepSpeed has a stream for each of both where they overlap with the computation, and the caching allocator gives a block
only to the stream that it was made for. Sources: deepspeed runtime/zero/stage3.py, partition_parameters.py and
parameter_offload.py (0.19).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence

from toolkit.memory.allocator.caching import MIN_BLOCK, SMALL_REQUEST
from toolkit.memory.context import Context
from toolkit.memory.device import Interval
from toolkit.memory.parallel.zero import gathering
from toolkit.memory.parallel.zero_gather import Move, gathering_moves
from toolkit.memory.parallel.zero_moments import Zero3
from toolkit.memory.parallel.zero_partition import gradients_in_order
from toolkit.memory.programs.programs import Programs
from toolkit.memory.replay.loading import in_layers, stored_bytes
from toolkit.memory.replay.orders import follow
from toolkit.memory.replay.pool import in_blocks, pool_reserved
from toolkit.memory.replay.training import Run
from toolkit.memory.size import BYTES
from toolkit.memory.weights.linear_storage import FOUR_BIT
from toolkit.memory.weights.storage import StoredTensor, storage_of

DOUBLE = 8
"""Bytes of an element while the norm of gradients is worked out (_constant_buffered_norm2)."""


class PartitionedRun(Run):
    """A run on one of several GPUs; so many bytes of gradients wait for the stream that shares them out."""

    def __init__(self, context: Context, programs: Programs, zero: Zero3, late: int) -> None:
        super().__init__(context, programs)
        self._zero = zero
        self._late = late
        self._waiting: deque[int] = deque()
        held = gathering(context.architecture, context.setting).held
        self._outside = sum(held.values()) * BYTES[context.setting.compute]

    def load(self) -> None:
        """The parts of all weights in one block, what the optimizer has, and the buffer for gradients.

        Then hooks are put on every weight, which is gathered for it (create_reduce_and_remove_grad_hooks).
        """
        context, zero, events = self._context, self._zero, self._writer.events
        events.allocate(context.sums.weights)
        events.is_loaded()
        if context.numerics.adapter is not None:
            events.allocate(context.sums.adapters * BYTES[context.numerics.adapter])
        if context.setting.master_weights is not None and not context.setting.parallel.offload:
            events.allocate(zero.updated * BYTES[context.setting.master_weights])
        events.allocate(zero.bucket)
        events.allocate(zero.part)
        events.release(events.allocate(zero.widest))

    def pass_through(self, *, accumulates: bool) -> None:
        """A gradient leaves its weight at once, and is added to no other there."""
        del accumulates
        super().pass_through(accumulates=False)

    def before_end(self) -> None:
        """What is read outside its module is gathered where it is read, once: then it is known (ZeROOrderedDict)."""
        self._waiting.append(self._writer.events.allocate(self._outside))
        self._outside = 0

    def after_layer(self, gradients: int) -> None:
        """All gradients go to the buffer; the blocks of the newest may not be free yet."""
        del gradients
        self._share_out(self._late)

    def after_backward(self) -> None:
        """The code waits until all is shared out (independent_gradient_partition_epilogue)."""
        self._share_out(0)

    def _share_out(self, late: int) -> None:
        writer = self._writer
        self._waiting.extend(writer.gradients)
        writer.gradients.clear()
        while sum(writer.events.sizes[block] for block in self._waiting) > late:
            writer.release(self._waiting.popleft())

    def step(self) -> None:
        """So many gradients are cast at a time, where the optimizer has another dtype, and then that runs."""
        zero, events = self._zero, self._writer.events
        blocks = [events.allocate(zero.at_once * each) for each in (zero.item, zero.cast) if each]
        super().step()
        for block in blocks:
            events.release(block)


def reserved_in_parts(
    context: Context, programs: Programs, zero: Zero3, limit: int | None = None
) -> tuple[int, int, int, int]:
    """The least and the most that all streams reserve, the most that is alive, and the largest request, in bytes.

    Beyond a `limit` nothing is followed.
    """
    beside, alive = beside_computing(context, zero)
    followed = [follow(run.events(), limit=limit) for run in partitioned_runs(context, programs, zero)]
    found = [one.reserved for one in followed]
    whole = loaded_whole(context)
    least, most = min(low for low, _ in found) + beside[0], max(high for _, high in found) + beside[1]
    return max(least, whole), max(most, whole), max(followed[0].alive + alive, whole), followed[0].largest


def partitioned_runs(context: Context, programs: Programs, zero: Zero3) -> Iterator[PartitionedRun]:
    """A run in which no gradient waits, and one in which as many do as may."""
    yield PartitionedRun(context, programs, zero, 0)
    late = zero.gradients_in_flight
    if late:
        yield PartitionedRun(context, programs, zero, late)


def loaded_whole(context: Context) -> int:
    """What is reserved where a model is made before DeepSpeed, which then moves all of it to the GPU.

    The first weight's part is made beside the whole (engine.py, _configure_distributed_model; partition_parameters.py,
    _convert_to_zero_parameters), and all of it is given back once it is (utils.py, defragment). A Trainer makes the
    model within zero.Init, tensor by tensor.
    """
    if not context.setting.parallel.loads_whole:
        return 0
    stored = [stored_bytes(one) for one in in_layers(storage_of(context.architecture, context.setting), _count)]
    parts = [-(-size // context.setting.parallel.gpus) for size in stored[:1]]
    return _pool([(number, size) for number, size in enumerate([*stored, *parts])])[0]


def _count(tensor: StoredTensor) -> int:
    return tensor.module.count


def beside_computing(context: Context, zero: Zero3) -> tuple[Interval, int]:
    """What both other streams have reserved, at least and at most, and what is alive there at most, in bytes.

    Without overlap_comm weights are gathered on the stream that computes, where what is freed is free at once
    (deepspeed runtime/zero/parameter_offload.py, __allgather_stream).
    """
    item = 1 if context.setting.weights in FOUR_BIT else BYTES[context.setting.compute]  # of those sizes are bytes
    moves = gathering_moves(gathering(context.architecture, context.setting))
    low, alive = _pool([(key, size * item) for key, size in moves])
    high, _ = _pool([(key, size * item) for key, size in moves], zero.waiting if zero.overlaps else 0)
    shared, most = _pool(list(_shared_out(context, zero)))
    return (low + shared, high + shared), alive + most


def _shared_out(context: Context, zero: Zero3) -> Iterator[Move]:
    """Buffer by buffer, last gradients first: a copy of all in it; where the optimizer is in main memory also parts.

    Each part comes back to the GPU, where its norm is worked out in float64, and it is made float32 (partition_grads).
    A single gradient is shared out without a copy (reduce_scatter_coalesced).
    """
    gpus, offloads = context.setting.parallel.gpus, bool(context.setting.parallel.offload)
    for number, sizes in enumerate(
        _buffers(gradients_in_order(context.architecture, context.setting), zero.limit // zero.item)
    ):
        if len(sizes) > 1:
            yield number, sum(sizes) * zero.item
        for size in sizes if offloads else ():
            part = -(-size // gpus)
            yield "part", part * zero.item
            for wide in (DOUBLE, BYTES["fp32"]):
                yield "wide", part * wide
                yield "wide", 0
            yield "part", 0
        yield number, 0


def _buffers(gradients: Iterable[int], limit: int) -> Iterator[list[int]]:
    """Gradients as they are shared out together: before one comes for which there is no room."""
    there: list[int] = []
    for size in gradients:
        if there and sum(there) + size > limit:
            yield there
            there = []
        there.append(size)
    if there:
        yield there


def _pool(moves: Sequence[Move], late: int = 0) -> tuple[int, int]:
    """What is reserved for moves on a stream, and the most that is alive; so many bytes are let go of too late."""
    sizes, order, block_of = [0], [], {}
    waiting: deque[int] = deque()
    alive = most = delayed = 0
    for key, size in moves:
        if size:
            sizes.append(size)
            block_of[key] = len(sizes) - 1
            order.append(block_of[key])
            alive += -(-size // MIN_BLOCK) * MIN_BLOCK
            most = max(most, alive)
        elif key in block_of:
            block = block_of.pop(key)
            alive -= -(-sizes[block] // MIN_BLOCK) * MIN_BLOCK
            waiting.append(block)
            delayed += sizes[block]
        while delayed > late:
            delayed -= sizes[waiting[0]]
            order.append(-waiting.popleft())
    wanted = in_blocks(sizes)
    is_small = [size * MIN_BLOCK <= SMALL_REQUEST for size in wanted]
    pools = [[one for one in order if is_small[abs(one)] is small] for small in (True, False)]
    return sum(pool_reserved(wanted, pool, small=not at) for at, pool in enumerate(pools)), most
