"""The order in which DeepSpeed has weights, and what one GPU's part of them touches."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate

from toolkit.memory.architecture import Architecture, ModuleKind
from toolkit.memory.weights.linear_storage import FOUR_BIT
from toolkit.memory.weights.storage import ITEM_BYTES, StoredTensor, storage_of
from toolkit.spec.settings.setting import Setting


def each_of(tensor: StoredTensor) -> int:
    """The elements of one of a tensor's repeats."""
    return tensor.elements // tensor.module.count


def as_cut(tensor: StoredTensor, setting: Setting) -> tuple[int, int]:
    """The elements of one of a tensor's repeats as DeepSpeed cuts them, and the bytes of one.

    4-bit weights are of elements of the dtype that they are packed in, two values a byte.
    """
    each, item = each_of(tensor), ITEM_BYTES[tensor.part.dtype]
    if setting.weights not in FOUR_BIT or not tensor.is_packed or not tensor.part.parameter:
        return each, item
    item = ITEM_BYTES[setting.parallel.quant_storage or setting.compute]
    return -(-each // item), item


def gradients_in_order(architecture: Architecture, setting: Setting) -> Iterator[int]:
    """Elements of the gradients of weights as backward makes them, layer by layer from the end."""
    if setting.method != "full":
        return
    modules = [one for one in storage_of(architecture, setting) if one.part.parameter]
    ends = [one for one in modules if "{}" not in one.name]
    yield from (each_of(one) for one in ends if one.module.kind is ModuleKind.HEAD)
    layers = max((one.module.count for one in modules), default=0)
    inside = [one for one in modules if "{}" in one.name][::-1]
    for layer in range(layers):
        yield from (each_of(one) for one in inside if layer < one.module.count)
    yield from (each_of(one) for one in ends if one.module.kind is not ModuleKind.HEAD)


def kept_whole(architecture: Architecture, setting: Setting, part: int) -> int:
    """Elements of the gradients that the GPU with the first part keeps: whole ones of all weights that it touches.

    The buffer has room for all of a weight where the part ends (stage_1_and_2.py, copy_grads_in_partition), and so have
    a weight's own gradients without it. Weights are in the order of the model: its embedding, then its layers.
    """
    if setting.method != "full" or not part:
        return part
    return next((there for there in accumulate(_weights(architecture, setting)) if there >= part), part)


def _weights(architecture: Architecture, setting: Setting) -> Iterator[int]:
    modules = [one for one in storage_of(architecture, setting) if one.part.parameter]
    ends = [one for one in modules if "{}" not in one.name]
    yield from (each_of(one) for one in ends if one.module.kind is ModuleKind.EMBEDDING)
    for layer in range(max((one.module.count for one in modules), default=0)):
        yield from (each_of(one) for one in modules if "{}" in one.name and layer < one.module.count)
    yield from (each_of(one) for one in ends if one.module.kind is not ModuleKind.EMBEDDING)
