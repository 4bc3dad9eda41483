"""Ways in which a model comes to the GPU that somebody may state, and what each leaves of blocks.

`model.to(device)` quantizes bitsandbytes' weights on the GPU, one after the other: a copy goes there, then its scales
and its packed form, then the copy is let go (bitsandbytes nn/modules.py, Params4bit; functional.py, quantize_4bit).

Within `with torch.device("cuda")` safetensors made the file's tensors on the GPU before pull request 588 (March 2025;
issue 503 there): torch.asarray follows that default. transformers 4 read a checkpoint of one file first, made the model
beside its tensors, copied, and let go of them (modeling_utils.py, from_pretrained; load_state_dict). A tensor that lies
in what is left of the segment of wider ones keeps the end that is too little to be split off. Since that pull request
the file's tensors stay in main memory, and only the model is made on the GPU: that is as good as moved.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from toolkit.memory.allocator.caching import SMALL_REQUEST, CachingAllocator
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.weights.linear_storage import FOUR_BIT
from toolkit.memory.weights.storage import ALLOCATION, FLOATS, ITEM_BYTES, StoredTensor
from toolkit.spec.fields.process import IN_CONTEXT, MOVED
from toolkit.spec.settings.setting import Setting

ROW = "unsplit_blocks"
MOVES = ("transformers", "plain")
"""Trainers that move a loaded model to the GPU (trainer.py, _move_model_to_device); others load it to the GPU."""
LOAD_BY_TRANSFORMERS = ("transformers", "plain", "trl")
WHOLE = ("none", "ddp")
"""Strategies by which a GPU loads all of a model."""
SCALED = 64
"""Values of a 4-bit weight that share a scale."""

Names = Sequence[tuple[int, str]]


def moves(setting: Setting) -> bool:
    """Whether a model is made in main memory and moved to the GPU module by module."""
    if setting.loading is not None:
        return setting.loading == MOVED
    return setting.trains and setting.stack.trainer in MOVES


def refuse_loading(setting: Setting) -> None:
    """Raises UnsupportedRow for a way to load that is not followed where it is stated."""
    if setting.loading is None:
        return
    if setting.stack.trainer not in LOAD_BY_TRANSFORMERS:
        raise UnsupportedRow(
            ROW, f"{setting.stack.trainer} loads models in its own way: leave out loading {setting.loading}"
        )
    if setting.parallel.strategy not in WHOLE:
        raise UnsupportedRow(
            ROW, f"{setting.parallel.strategy} loads each GPU's part in its own way: leave out loading"
        )
    followed = (*FLOATS, *FOUR_BIT) if setting.loading == MOVED else FLOATS
    if setting.loading in (MOVED, IN_CONTEXT) and setting.weights not in followed:
        raise UnsupportedRow(ROW, f"no formula for {setting.weights} weights with loading {setting.loading}")
    if setting.loading == IN_CONTEXT and setting.checkpoint_dtype is None:
        raise UnsupportedRow(ROW, "the file's tensors reach the GPU first: state their dtype as checkpoint_dtype")


def unsplit_quantized(tensors: Sequence[StoredTensor], setting: Setting) -> int:
    """What moving a model leaves of blocks whose 4-bit weights are quantized as each comes to the GPU."""
    return _quantized(tuple(_in_turn(tensors)), ITEM_BYTES[setting.compute])


def _in_turn(tensors: Iterable[StoredTensor]) -> Iterator[tuple[int, int]]:
    """Size and elements of each tensor that is kept, layer by layer; elements of what is packed, 0 of all else."""
    for run in _runs(tensors):
        layers = max(stored.module.count for stored in run)
        for layer in range(layers):
            for stored in run:
                if layer < stored.module.count:
                    packed = stored.tensor.elements if stored.is_packed and stored.part.name == "" else 0
                    yield stored.allocated // stored.module.count, packed


def _runs(tensors: Iterable[StoredTensor]) -> Iterator[list[StoredTensor]]:
    """Tensors that follow each other in every layer together, all others alone."""
    run: list[StoredTensor] = []
    for stored in tensors:
        if run and (stored.module.count == 1 or run[0].module.count == 1):
            yield run
            run = []
        run.append(stored)
    if run:
        yield run


@lru_cache(maxsize=256)
def _quantized(order: tuple[tuple[int, int], ...], item: int) -> int:
    allocator = CachingAllocator()
    for size, packed in order:
        copy = allocator.allocate(packed * item) if packed else None
        allocator.allocate(size)
        if copy is not None:
            allocator.free(copy)
    return allocator.allocated - sum(-(-size // ALLOCATION) * ALLOCATION for size, _ in order)


def unsplit_in_context(
    outside: Names, layers: Sequence[Names], modules: Iterable[Sequence[Sequence[int]]], setting: Setting
) -> int:
    """What is left of blocks where the file's tensors lie on the GPU while the model is made.

    `outside` and `layers` have the model's tensors as a file has them, by name; `modules` as its modules follow.
    """
    item = ITEM_BYTES[setting.weights]
    in_file = tuple(size for size, _ in (*outside, *(one for layer in layers for one in layer)))
    made = tuple(size for run in modules for layer in run for size in layer)
    return _beside(in_file, made, ITEM_BYTES[setting.checkpoint_dtype or setting.weights], item)


@lru_cache(maxsize=256)
def _beside(in_file: tuple[int, ...], made: tuple[int, ...], wide: int, item: int) -> int:
    """Small tensors have a pool of their own, in which nothing is left unsplit."""
    allocator = CachingAllocator()
    for size in in_file:
        if size * wide // item > SMALL_REQUEST:
            allocator.allocate(size * wide // item)
    before = allocator.allocated
    large = [size for size in made if size > SMALL_REQUEST]
    for size in large:
        allocator.allocate(size)
    return allocator.allocated - before - sum(large)
