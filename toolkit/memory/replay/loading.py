"""What loading a model and preparing it asks for, tensor by tensor in the order of its modules."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import repeat
from operator import itemgetter
from typing import TypeVar

from packaging.version import Version

from toolkit.memory.context import Context
from toolkit.memory.formula.linear.exllama import exllama_buffer, exllama_order, exllama_state
from toolkit.memory.formula.position_tables import position_tables
from toolkit.memory.formula.workspaces import workspaces_before
from toolkit.memory.ledger import PhaseName
from toolkit.memory.libraries.versions import older
from toolkit.memory.loading.first_block import first_block
from toolkit.memory.loading.unsplit import PACKAGE, WARMS_WHOLE
from toolkit.memory.replay.events import Block, Events
from toolkit.memory.size import BYTES
from toolkit.memory.weights.linear_storage import FOUR_BIT, QUANTIZED, working_dtype
from toolkit.memory.weights.quantization import NF4_BLOCK
from toolkit.memory.weights.resting import resting
from toolkit.memory.weights.storage import ITEM_BYTES, StoredTensor, storage_of
from toolkit.memory.weights.sums import Trained, passing_upcast, put_beside, upcast_bytes
from toolkit.spec.fields.process import IN_CONTEXT
from toolkit.spec.settings.setting import Setting

Counted = TypeVar("Counted")

LOADS_BY_NAME = Version("5.0")
"""Before, transformers loaded file by file, and each file in an order of its own."""


def load(events: Events, context: Context) -> None:
    """The weights as stored; then what is cast anew, the adapters, and a copy of what is trained.

    Before them the workspaces that earlier passes left, and the tensors of the file where those are on the GPU first.
    """
    setting = context.setting
    events.allocate_all(repeat(context.workspace, workspaces_before(context)))
    stored = storage_of(context.architecture, setting)
    in_file: Sequence[Block] = ()
    if setting.loading == IN_CONTEXT:
        item = ITEM_BYTES[setting.checkpoint_dtype or setting.weights]
        in_file = events.allocate_all(of_stored(stored, lambda one: one.part.elements * item))
    if quantizes(setting):
        blocks = _quantized(events, stored, setting)
    elif setting.weights in QUANTIZED and context.stage is None and not older(setting, PACKAGE, LOADS_BY_NAME):
        blocks = _by_name(events, stored)
    else:
        blocks = events.allocate_all(of_stored(stored, stored_bytes))
    events.release_all(in_file)
    events.block = first_block(stored, setting) if quantizes(setting) else sum(one.bytes for one in stored)
    for table in position_tables(context, PhaseName.LOAD):
        events.allocate(table)
    for kept in (exllama_buffer, exllama_state, exllama_order):
        events.allocate(kept(context, PhaseName.LOAD))
    events.is_loaded()
    if not setting.trains:
        _adapt(events, context, (), put_beside(context.architecture, setting))
        return
    upcasts = of_stored(stored, lambda one: upcast_bytes(one, setting) // one.module.count)
    passing = of_stored(stored, lambda one: passing_upcast(one, setting) // one.module.count)
    wide: list[tuple[Block, int]] = []
    for more, back, block in zip(upcasts, passing, blocks, strict=True):
        if more or back:
            made = events.allocate(2 * (more or back))
            wide += [(made, back)] if back else []
            events.release(block)
    _adapt(events, context, wide, context.sums.trained)
    if setting.master_weights is not None:
        width = BYTES[setting.master_weights]
        events.allocate_all(of_trained(context, lambda one: one.elements * width))


def _adapt(
    events: Events, context: Context, wide: Sequence[tuple[Block, int]], beside: Iterable[Trained]
) -> None:  # fmt: skip
    """The adapters `beside` a model, copies of whole modules, and what rests; then what is `wide` is cast back.

    Copies are of what is float32 by then, and are cast back, too (trl trainer/utils.py, peft_module_casting_to_bf16).
    """
    if context.numerics.adapter is None:
        return
    head, adapter = BYTES[context.numerics.head], BYTES[context.numerics.adapter]
    first = BYTES["fp32"] if wide else head
    trained = [*in_layers(beside, lambda one: one.count)]
    added = events.allocate_all(one.elements * (first if one.copied else adapter) for one in trained)
    of_copies = [(block, one.elements * head) for one, block in zip(trained, added, strict=True) if wide and one.copied]
    untrained = resting(context.architecture, context.setting, adapter)
    events.allocate_all(one.bytes for one in in_layers(untrained, lambda one: one.count))
    for block, size in (*wide, *of_copies):
        events.allocate(size)
        events.release(block)


def _by_name(events: Events, stored: Iterable[StoredTensor]) -> Sequence[Block]:
    """Weights in the order of their names, as transformers 5 loads them to a GPU, returned in that of modules.

    A model in 8 or 4 bit is nowhere else first (core_model_loading.py, dot_natural_key). So an output weight may lie
    beside the embeddings, and what both leave when they are cast is one free block.
    """
    forms = list(stored)
    made: dict[int, deque[Block]] = {id(one): deque() for one in forms}
    for one in in_layers(sorted(forms, key=_in_file), lambda one: one.module.count):
        made[id(one)].append(events.allocate(stored_bytes(one)))
    return [made[id(one)].popleft() for one in in_layers(forms, lambda one: one.module.count)]


def _in_file(one: StoredTensor) -> list[str]:
    """The name of a tensor in its file, part by part; those of all layers together."""
    return f"{one.module.path}.{one.tensor.name}".split(".")


def quantizes(setting: Setting) -> bool:
    """Whether weights are quantized on the GPU while a model is loaded that is not trained."""
    return setting.weights in QUANTIZED and not setting.trains


def _quantized(events: Events, stored: Iterable[StoredTensor], setting: Setting) -> Sequence[Block]:
    """Weights that bitsandbytes quantizes on the GPU, one after the other, each beside a copy of it that is not.

    `Int8Params` is handed one that transformers 5 has on the GPU, and makes another (integrations/bitsandbytes.py,
    Bnb8bitQuantize). Scales of 64 values are float32 until they are quantized, too (functional.py, quantize_4bit).
    """
    item, four = ITEM_BYTES[working_dtype(setting)], setting.weights in FOUR_BIT
    again = 0 if four or older(setting, PACKAGE, WARMS_WHOLE) else ITEM_BYTES["fp16"]
    scale = ITEM_BYTES["fp32"] if four and setting.double_quant else 0
    blocks: list[Block] = []
    passing: list[Block] = []
    for one in in_layers(stored, lambda one: one.module.count):
        if not one.part.name:
            events.release_all(passing)
            values = one.tensor.elements if one.is_packed else 0
            sizes = values * item, values * again, -(-values // NF4_BLOCK) * scale
            passing = [events.allocate(size) for size in sizes]
        blocks.append(events.allocate(stored_bytes(one)))
    events.release_all(passing)
    return blocks


def of_stored(stored: Iterable[StoredTensor], bytes_of: Callable[[StoredTensor], int]) -> Iterator[int]:
    """Bytes of each stored tensor in the order of layers, worked out once for all of a form."""
    sized = ((one.module.count, bytes_of(one)) for one in stored)
    return (size for _, size in in_layers(sized, itemgetter(0)))


def of_trained(context: Context, bytes_of: Callable[[Trained], int]) -> Iterator[int]:
    """The same of each trained tensor."""
    sized = ((one.count, bytes_of(one)) for one in context.sums.trained)
    return (size for _, size in in_layers(sized, itemgetter(0)))


def trained_in_order(context: Context) -> Iterator[Trained]:
    """Every trained tensor, layer by layer."""
    return in_layers(context.sums.trained, lambda one: one.count)


def in_layers(things: Iterable[Counted], count: Callable[[Counted], int]) -> Iterator[Counted]:
    """Things that a model has several of, in the order of its layers: each form once a layer.

    What there is one of stands where it stands among the forms: before the layers, or after them.
    """
    forms = list(things)
    first = next((place for place, one in enumerate(forms) if count(one) > 1), len(forms))
    last = next((place for place in range(len(forms) - 1, -1, -1) if count(forms[place]) > 1), len(forms) - 1)
    yield from forms[:first]
    layers = max((count(one) for one in forms), default=0)
    often = [(one, count(one)) for one in forms[first : last + 1]]
    for layer in range(layers):
        # Of what there are more than layers, as of experts, each layer has its share; of what there are fewer, some.
        for one, times in often:
            if layer < times:
                yield one
    yield from forms[last + 1 :]


def stored_bytes(tensor: StoredTensor) -> int:
    """The bytes of one tensor as it is stored."""
    return tensor.part.elements * ITEM_BYTES[tensor.part.dtype]
