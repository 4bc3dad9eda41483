"""What one GPU sends of a unit's tensors to the others as FSDP shares a model out, as events.

Sources: torch/distributed/fsdp/_init_utils.py (_sync_module_params_and_buffers), torch/csrc/distributed/c10d/comm.cpp
(broadcast_coalesced), compute_bucket_assignment_by_size in reducer.cpp, and flatten_dense_tensors.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence

from toolkit.memory.replay.events import Block, Events
from toolkit.spec.settings.setting import Setting

BUFFER = 250 << 20
"""A buffer is sent once it has as much (PARAM_BROADCAST_BUCKET_SIZE)."""

AT_ONCE = 2
"""Buffers that are on their way."""


def sends_states(setting: Setting) -> bool:
    """Whether units are sent: a Trainer asks for it (training_args.py, and what accelerate's launcher has for FSDP)."""
    said = setting.parallel.sync_module_states
    return setting.stack.trainer != "plain" if said is None else said


def buffers(sizes: Iterable[int], buffer: int = BUFFER) -> Iterator[int]:
    """Bytes of the buffers that tensors of such sizes are joined in, one after the other; a tensor alone needs none."""
    joined: list[int] = []
    for size in sizes:
        joined.append(size)
        if sum(joined) >= buffer:
            yield sum(joined) if len(joined) > 1 else 0
            joined.clear()
    yield sum(joined) if len(joined) > 1 else 0


def broadcast(events: Events, tensors: Sequence[Block]) -> None:
    """Sends tensors that are there."""
    sent: deque[Block] = deque()
    for size in buffers(events.sizes[block] for block in tensors):
        if len(sent) == AT_ONCE:
            events.release(sent.popleft())
        sent.append(events.allocate(size))
    events.release_all(sent)
