"""Training under DDP, as events: a model is sent before, and gradients have a second copy in buckets.

First there is one bucket for all gradients of a dtype. Once gradients were reduced, which accelerate has the last
micro-batch of a step do alone (no_sync), it is let go of before the next pass, for buckets in the order in which
gradients were ready. Sources: torch/nn/parallel/distributed.py (_ddp_init_helper);
torch/csrc/distributed/c10d/reducer.cpp (initialize_buckets, rebuild_buckets, compute_bucket_assignment_by_size).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence

from toolkit.memory.context import Context
from toolkit.memory.libraries.trainers import LOOPS_IN_TORCH
from toolkit.memory.programs.programs import Programs
from toolkit.memory.replay.broadcast import Sent, broadcast, module_states
from toolkit.memory.replay.events import Block
from toolkit.memory.replay.loading import trained_in_order
from toolkit.memory.replay.training import Run
from toolkit.memory.size import BYTES

LIMITS = (1 << 20, 25 << 20)
"""Bytes at which the first bucket is full, and every other (kDefaultFirstBucketBytes, bucket_cap_mb)."""


class ReplicatedRun(Run):
    """A run on one of several GPUs, of which each has a whole copy of the model."""

    def __init__(self, context: Context, programs: Programs, *, holds: bool = False) -> None:
        super().__init__(context, programs, holds=holds)
        self._rebuilt = tuple(rebuilt_buckets([*trained_tensors(context)][::-1]))
        self._first: Sequence[Block] = ()
        self._passes = 0
        each = context.setting.stack.trainer in LOOPS_IN_TORCH
        self._unreduced = 1 if each else self.course.micro_batches

    def said(self) -> Hashable:
        """Also the buckets, and when they are made anew."""
        return super().said(), self._rebuilt, self._unreduced

    def load(self) -> None:
        """As on one GPU; then what is sent, and the first buckets. All in this order alone."""
        super().load()
        events = self._writer.events
        broadcast(events, module_states(self._context))
        whole: dict[str, int] = {}
        for dtype, size in trained_tensors(self._context):
            whole[dtype] = whole.get(dtype, 0) + size
        self._first = events.allocate_all(whole.values())
        events.is_loaded()

    def pass_through(self, *, accumulates: bool) -> None:
        """After the first one that reduces, buckets are made anew."""
        self._passes += 1
        if self._passes == self._unreduced + 1:
            events = self._writer.events
            events.release_all(self._first)
            events.allocate_all(self._rebuilt)
        super().pass_through(accumulates=accumulates)


def trained_tensors(context: Context) -> Iterator[Sent]:
    """Every tensor that gets a gradient, as it is stored, layer by layer."""
    numerics = context.numerics
    for one in trained_in_order(context):
        own = numerics.adapter or context.setting.weights
        dtype = numerics.head if one.copied else own
        yield dtype, one.elements * BYTES[dtype]


def rebuilt_buckets(tensors: Sequence[Sent]) -> Iterator[int]:
    """Bytes of the buckets that tensors, in the order of their gradients, are put into: those of a dtype together."""
    inside: dict[str, int] = {}
    full: dict[str, int] = {}
    for dtype, size in tensors:
        inside[dtype] = inside.get(dtype, 0) + size
        if inside[dtype] >= LIMITS[min(full.get(dtype, 0), 1)]:
            yield inside.pop(dtype)
            full[dtype] = full.get(dtype, 0) + 1
    yield from inside.values()
