"""What loading a model with LitGPT leaves of blocks: its tensors are made on the GPU, and 4-bit ones twice.

Sources: litgpt/generate/base.py, main; lightning/fabric/plugins/precision/bitsandbytes.py, _Linear4bit. Every module is
made where it is to be, in the run's precision. One that is quantized is so at once, by a float16 copy, and the weight
let go; then again, with the weight that is read from the checkpoint, before what it had is let go. What of a freed
block is too little to be split off stays with whatever takes it (c10/cuda/CUDACachingAllocator.cpp, should_split).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import groupby

from toolkit.frozen import frozen
from toolkit.memory.allocator.caching import Block, CachingAllocator
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.weights.linear_storage import FOUR_BIT
from toolkit.memory.weights.storage import ALLOCATION, ITEM_BYTES, StoredTensor
from toolkit.spec.settings.setting import Setting

FIRST = ("lm_head", "embed_tokens")
IN_LAYER = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
"""LitGPT's order, in which queries, keys and values have one weight."""

FUSED = IN_LAYER[:3]
HALF = 2
SCALED = 64
"""Values that share a scale, which is float32 before it is itself quantized (functional.py, quantize_4bit)."""


@frozen
class Made:
    """A weight as it is made: its elements, the bytes of one, and the bytes of its parts once quantized, if it is."""

    elements: int
    item: int
    parts: tuple[int, ...] = ()
    nested: bool = False


def unsplit_by_fabric(tensors: Iterable[StoredTensor], setting: Setting) -> int:
    """What the allocator counts beyond the sizes in bytes of weights that were loaded for generation."""
    nested = setting.double_quant
    weights = [one for one in tensors if one.tensor.name == "weight"]
    outside = sorted((one for one in weights if "{}" not in one.name), key=lambda one: _place(FIRST, one))
    inside = sorted((one for one in weights if "{}" in one.name), key=lambda one: _place(IN_LAYER, one))
    made = setting.compute if setting.weights in FOUR_BIT else setting.weights
    if made not in ITEM_BYTES:
        raise UnsupportedRow("unsplit_blocks", f"LitGPT has no {made} weights")
    item = ITEM_BYTES[made]
    ends, layer = tuple(_made(outside, item, nested=nested)), tuple(_made(inside, item, nested=nested))
    layers = max((one.module.count for one in inside), default=0)
    return unsplit(ends, layer, layers)


def _place(order: tuple[str, ...], stored: StoredTensor) -> int:
    leaf = stored.module.leaf
    return order.index(leaf) if leaf in order else len(order)


def _made(tensors: Iterable[StoredTensor], item: int, *, nested: bool) -> Iterator[Made]:
    """Weight by weight, from parts that stand side by side."""
    for _, parts in groupby(tensors, key=lambda one: "qkv" if one.module.leaf in FUSED else one.module.path):
        each = list(parts)
        elements = sum(one.tensor.elements for one in each if one.part.name == "")
        if not each[0].is_packed:
            yield Made(elements, item)
            continue
        sizes: dict[str, int] = {}
        for one in each:
            size = one.part.elements * ITEM_BYTES[one.part.dtype]
            fixed = one.part.name not in ("", ".absmax", ".nested_absmax")
            sizes[one.part.name] = size if fixed else sizes.get(one.part.name, 0) + size
        yield Made(elements, item, tuple(sizes.values()), nested)


@lru_cache(maxsize=256)
def unsplit(ends: tuple[Made, ...], layer: tuple[Made, ...], layers: int) -> int:
    """What a replay of loading leaves beyond the weights; output weight and embedding are made before the layers."""
    allocator = CachingAllocator()
    order = [*ends, *(layer * layers)]
    kept = [_make(allocator, one) for one in order]
    for one, blocks in zip(order, kept, strict=True):
        if one.parts:
            _quantize(allocator, one)
            for block in blocks:
                allocator.free(block)
    return allocator.allocated - sum(_held(one) for one in order)


def _held(made: Made) -> int:
    """The bytes of a weight as it is kept, in units of the allocator."""
    return sum(-(-size // ALLOCATION) * ALLOCATION for size in made.parts or (made.elements * made.item,))


def _make(allocator: CachingAllocator, made: Made) -> tuple[Block, ...]:
    whole = allocator.allocate(made.elements * made.item)
    if not made.parts:
        return (whole,)
    blocks = _quantize(allocator, made)
    allocator.free(whole)
    return blocks


def _quantize(allocator: CachingAllocator, made: Made) -> tuple[Block, ...]:
    """A float16 copy, the scales, then the packed weight; scales that are quantized themselves are let go after."""
    half = allocator.allocate(made.elements * HALF)
    packed, *others = made.parts
    scales = allocator.allocate(-(-made.elements // SCALED) * ITEM_BYTES["fp32"]) if made.nested else None
    if scales is None:
        scale, *others = others
        blocks = [allocator.allocate(scale), allocator.allocate(packed)]
    else:
        blocks = [allocator.allocate(packed)]
    blocks += [allocator.allocate(size) for size in others]
    if scales is not None:
        allocator.free(scales)
    allocator.free(half)
    return tuple(blocks)
