"""What one GPU sends of its tensors to the others as FSDP shares a model out, or as DDP copies it, as events.

Sources: torch/distributed/utils.py (_sync_module_states: all parameters, frozen ones too, then all buffers), as
torch/distributed/fsdp/_init_utils.py calls it for a unit and torch/nn/parallel/distributed.py for a model;
torch/csrc/distributed/c10d/comm.cpp (broadcast_coalesced), compute_bucket_assignment_by_size in reducer.cpp, and
flatten_dense_tensors. Where torch records streams, as before TORCH_NCCL_AVOID_RECORD_STREAMS was the default, a buffer
is free only once the stream that sends is done with it, so that more may be there: they are not followed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from math import prod
from operator import itemgetter

from toolkit.memory.context import Context
from toolkit.memory.parallel.buckets import AT_ONCE, BUFFER
from toolkit.memory.replay.events import Block, Events
from toolkit.memory.replay.loading import in_layers
from toolkit.memory.size import BYTES
from toolkit.memory.weights.linear_storage import QUANTIZED
from toolkit.memory.weights.lora import adapters_of
from toolkit.memory.weights.storage import ITEM_BYTES, StoredTensor, storage_of
from toolkit.memory.weights.sums import upcast_bytes
from toolkit.spec.settings.setting import Setting

Sent = tuple[str, int]
"""The dtype and the bytes of a tensor."""

Form = tuple[Sent, int]
"""A tensor that a model has several of, and how many."""


def sends_states(setting: Setting) -> bool:
    """Whether units are sent: a Trainer asks for it (training_args.py, and what accelerate's launcher has for FSDP)."""
    said = setting.parallel.sync_module_states
    return setting.stack.trainer != "plain" if said is None else said


def buffers(tensors: Iterable[Sent], buffer: int = BUFFER) -> list[int]:
    """Bytes of the buffers that tensors are joined in, those of a dtype together; a tensor alone needs none.

    They are sent in the order of the first tensors in them.
    """
    joined: dict[str, tuple[int, int, int]] = {}
    full: list[tuple[int, int, int]] = []
    for place, (dtype, size) in enumerate(tensors):
        first, number, inside = joined.pop(dtype, (place, 0, 0))
        found = first, number + 1, inside + size
        if found[2] >= buffer:
            full.append(found)
        else:
            joined[dtype] = found
    return [inside if number > 1 else 0 for _, number, inside in sorted((*full, *joined.values()))]


def broadcast(events: Events, tensors: Iterable[Sent]) -> None:
    """Sends tensors that are there."""
    sent: deque[Block] = deque()
    for size in buffers(tensors):
        if len(sent) == AT_ONCE:
            events.release(sent.popleft())
        sent.append(events.allocate(size))
    events.release_all(sent)


def module_states(context: Context) -> Iterator[Sent]:
    """All parameters of a model that is ready to train, layer by layer, and then its packed weights that are buffers.

    Tables of positions are left out, and what else of buffers no config sets.
    """
    setting = context.setting
    stored = storage_of(context.architecture, setting)
    parts = zip(_around_layers([*_modules(context, stored)]), _around_layers([*_beside(context)]), strict=True)
    yield from _in_layers(form for part in parts for forms in part for form in forms)
    if setting.weights not in QUANTIZED:  # what bitsandbytes has beside a weight belongs to that weight's own state
        yield from _in_layers(_of_stored(one, setting) for one in stored if not one.part.parameter)


def _modules(context: Context, stored: Iterable[StoredTensor]) -> Iterator[Form]:
    """What each module has, and last its adapters (peft tuners/lora/layer.py, LoraLayer)."""
    setting, dtype = context.setting, context.numerics.adapter
    match = adapters_of(context.architecture, setting) if dtype is not None else None
    for path, tensors in groupby(stored, lambda one: one.module.path):
        yield from (_of_stored(one, setting) for one in tensors if one.part.parameter)
        for adapter in match.adapters if match is not None else ():
            if adapter.module.path == path and dtype is not None and setting.lora is not None:
                for shape in adapter.trained(setting.lora):
                    yield (dtype, prod(shape) * BYTES[dtype]), adapter.module.count


def _beside(context: Context) -> Iterator[Form]:
    """Copies of whole modules that are trained, and what other methods of peft train, layer by layer."""
    adapter, head = context.numerics.adapter, context.numerics.head
    for one in context.sums.trained if adapter is not None else ():
        if one.copied or context.setting.lora is None:
            dtype = head if one.copied or adapter is None else adapter
            yield (dtype, one.elements * BYTES[dtype]), one.count


def _of_stored(one: StoredTensor, setting: Setting) -> Form:
    """A weight once it is ready: in float32 where it was cast."""
    size = one.part.elements * ITEM_BYTES[one.part.dtype]
    more = upcast_bytes(one, setting) // one.module.count
    return (("fp32", 2 * more) if more else (one.part.dtype, size)), one.module.count


def _around_layers(forms: Sequence[Form]) -> tuple[Sequence[Form], Sequence[Form], Sequence[Form]]:
    """What comes before the layers, what is of them, and what comes after."""
    often = [place for place, (_, count) in enumerate(forms) if count > 1]
    first, after = (often[0], often[-1] + 1) if often else (len(forms), len(forms))
    return forms[:first], forms[first:after], forms[after:]


def _in_layers(forms: Iterable[Form]) -> Iterator[Sent]:
    return (sent for sent, _ in in_layers(forms, itemgetter(1)))
