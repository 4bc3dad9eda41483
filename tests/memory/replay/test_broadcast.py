"""What one GPU sends as FSDP shares a model out, or DDP copies it (torch's own code, on the CPU)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import cycle, product

import pytest

pytest.importorskip("torch")

import torch
import torch.distributed as dist
from torch.distributed.fsdp._limiter_utils import _FreeEventQueue
from torch.profiler import ProfilerActivity, profile

from toolkit.memory.parallel.spread import MAX_IN_FLIGHT
from toolkit.memory.replay.broadcast import broadcast, buffers
from toolkit.memory.replay.events import Events

pytestmark = pytest.mark.reference

KIB = 1 << 10


@pytest.fixture(scope="module")
def group() -> Iterator[object]:
    if dist.is_initialized():  # by another test's group, which sends nothing
        dist.destroy_process_group()
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield dist.group.WORLD
    dist.destroy_process_group()


BYTES = {"bf16": torch.bfloat16, "fp32": torch.float32, "uint8": torch.uint8}


@pytest.mark.parametrize(
    ("sizes", "buffer"),
    [
        ([32, 32, 32, 32, 86, 86, 86], 250),  # a layer of Llama 2 7B: 300 together, and 86 alone
        ([250, 1, 250], 250),  # what is outside of layers: the embedding alone, norm and head together
        ([100] * 9, 150),
        ([40, 3, 3, 90, 7, 64, 1, 1], 64),
        ([10], 5),
    ],
)
@pytest.mark.parametrize("dtypes", [("uint8",), ("bf16", "fp32"), ("uint8", "uint8", "fp32", "bf16", "fp32")])
def test_buffers_are_those_that_torch_makes(
    group: object, dtypes: tuple[str, ...], sizes: list[int], buffer: int
) -> None:
    """Of every dtype by itself, in the order of their first tensors."""
    sent = [(dtype, 4 * size * KIB) for dtype, size in zip(cycle(dtypes), sizes, strict=False)]
    tensors = [torch.zeros(size, dtype=torch.uint8).view(BYTES[dtype]) for dtype, size in sent]
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as run:
        dist._broadcast_coalesced(group, tensors, 4 * buffer * KIB, 0)
    moved = [one for one in run.profiler.kineto_results.events() if one.name() == "[memory]"]
    seen = [one.nbytes() for one in sorted(moved, key=lambda one: one.start_ns()) if abs(one.nbytes()) >= KIB]
    assert [size for size in buffers(sent, 4 * buffer * KIB) if size] == [one for one in seen if one > 0]


def test_two_buffers_are_on_their_way_at_most() -> None:
    events = Events()
    broadcast(events, [("bf16", 200 << 20)] * 8)
    assert events.order == [1, 2, -1, 3, -2, 4, -3, -4]
    assert set(events.sizes[1:]) == {400 << 20}


class Units:
    """Units that FSDP gathers and lets go of, with its own queue; whatever was not waited for is not free yet."""

    def __init__(self) -> None:
        self.queue = _FreeEventQueue()
        self.gone: deque[int] = deque()
        self.here = self.at_most = self.copies_at_most = 0
        self._clock = 0
        self._copies: list[None] = []

    def gather(self) -> None:
        """_unshard in _runtime_utils.py: first a cast or copied part, then the wait, then the unit."""
        self._copies.append(None)
        self.copies_at_most = max(self.copies_at_most, len(self._copies))
        self.wait()
        self.here += 1
        self.at_most = max(self.at_most, self.here + len(self.gone))

    def wait(self) -> None:
        """Whatever the GPU did before an event is done when it comes to it."""
        waited = self.queue.dequeue_if_needed()
        while waited is not None and self.gone and self.gone[0] <= waited:
            self.gone.popleft()
            self._copies.pop(0)

    def let_go(self) -> None:
        """_reshard: an event that the stream comes to once the unit was used."""
        self._clock += 1
        self.here -= 1
        self.gone.append(self._clock)
        self.queue.enqueue(self._clock)


@pytest.mark.parametrize(("layers", "ahead"), [*product((4, 10, 33), (False, True))])
def test_units_whose_blocks_are_not_free_yet(layers: int, ahead: bool) -> None:
    """Three steps, in each of which the root is asked for twice and let go of once; it is not counted."""
    units = Units()
    for _ in range(3):
        units.wait()
        for _ in range(layers):
            units.gather()
            units.let_go()
        units.wait()
        if ahead:
            units.gather()
        for layer in range(layers):
            if not ahead or layer < layers - 1:
                units.gather()
            units.let_go()
        units.queue.enqueue(units.gone[-1])
    assert units.at_most == 1 + ahead + MAX_IN_FLIGHT
    assert units.copies_at_most == units.at_most + 1
