"""What the allocator counts beyond the tensors that a model is loaded into: ends of blocks that it does not split off.

torch counts whole blocks. It splits a block of more than 1 MiB only where more than 1 MiB is left
(c10/cuda/CUDACachingAllocator.cpp, should_split), and a weight that is loaded by itself gets a segment that is a
multiple of 2 MiB, or a part of one of 20 MiB: a weight of 135 MiB counts as 136. Since 4.50 transformers first
allocates and frees one block as large as the model (modeling_utils.py, caching_allocator_warmup), from which all
weights are then cut to size; for quantized models 4.51 took half as much, and until 5.0 so it stayed for most. A model
that is trained is loaded to main memory, and moved to the GPU tensor by tensor.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby

from packaging.version import Version

from toolkit.memory.allocator.caching import LARGE_SEGMENT, OWN_SEGMENT_FROM, SEGMENT_UNIT, SMALL_REQUEST
from toolkit.memory.engines.loading import served_requests
from toolkit.memory.libraries.versions import older
from toolkit.memory.loading.fabric import unsplit_by_fabric
from toolkit.memory.loading.ways import moves, refuse_loading, unsplit_in_context, unsplit_quantized
from toolkit.memory.weights.linear_storage import FOUR_BIT, QUANTIZED
from toolkit.memory.weights.storage import FLOATS, StoredTensor
from toolkit.spec.fields.names import ENGINES
from toolkit.spec.fields.process import IN_CONTEXT, MOVED
from toolkit.spec.settings.setting import Setting

PACKAGE = "transformers"
WARMS = Version("4.50")
WARMS_HALF = Version("4.51")
WARMS_FP8_WHOLE = Version("4.52")
WARMS_WHOLE = Version("5.0")


@dataclass(slots=True)
class _Blocks:
    """Free blocks of more than 1 MiB, smallest first, what is left of a first large one, and what was not split off."""

    first: int
    least: int
    free: list[int] = field(default_factory=list)
    unsplit: int = 0

    def take(self, size: int) -> None:
        """Hands out the smallest block that fits."""
        at = bisect_left(self.free, size)
        if at < len(self.free):
            rest = self.free.pop(at) - size
        elif self.first >= size:
            self.first -= size
            rest = self.first if self.first <= SMALL_REQUEST else 0
            self.first -= rest
        else:
            rest = _segment(size) - size
        if rest > SMALL_REQUEST:
            if rest >= self.least:  # no request is small enough for the others
                insort(self.free, rest)
        else:
            self.unsplit += rest


def unsplit_bytes(tensors: Sequence[StoredTensor], setting: Setting) -> int:
    """What loading a model adds to its tensors' sizes in bytes.

    0 where one block is allocated for all, and where libraries load otherwise than tensor by tensor as they are stored.
    """
    refuse_loading(setting)
    if setting.loading == IN_CONTEXT:
        return unsplit_in_context(*requests(tensors, 0), [*moved_requests(tensors, 0)], setting)
    if setting.stack.trainer == "litgpt":
        return 0 if setting.trains else unsplit_by_fabric(tensors, setting)
    if setting.stack.trainer == "vllm":
        return _once(tensors, "served", _unsplit_served)
    if moves(setting):
        if setting.loading == MOVED and setting.weights in FOUR_BIT:
            return unsplit_quantized(tensors, setting)
        return _once(tensors, "moved", _unsplit_moved) if setting.weights in FLOATS else 0
    return 0 if setting.trains and setting.loading is None else _unsplit_as_stored(tensors, setting)


def _unsplit_as_stored(tensors: Sequence[StoredTensor], setting: Setting) -> int:
    """What is left of blocks where a model is loaded tensor by tensor as its file has them."""
    first = _first_block(tensors, setting)
    if first is None:
        return 0
    return _once(tensors, first, partial(_left, first=first))


_LEFT: dict[tuple[int, str | int], tuple[Sequence[StoredTensor], int]] = {}
"""By the id of tensors, which are kept with it, and by how they are loaded."""

MAX_LEFT = 1024


def _once(tensors: Sequence[StoredTensor], way: str | int, left: Callable[[Sequence[StoredTensor]], int]) -> int:
    """What is left of blocks where tensors are loaded in a way, worked out once for all ways to train a model."""
    known = _LEFT.get((id(tensors), way))
    if known is None:
        if len(_LEFT) >= MAX_LEFT:
            _LEFT.clear()
        known = _LEFT[id(tensors), way] = tensors, left(tensors)
    return known[1]


def _left(tensors: Sequence[StoredTensor], first: int) -> int:
    """What is left of blocks where tensors come one by one, after a block of so many bytes came and went."""
    outside, layers = _requests(tensors)
    sizes = [*outside, *(size for layer in set(layers) for size in layer)]
    if not sizes:
        return 0
    blocks = _Blocks(first, min(sizes))
    for size in outside:
        blocks.take(size)
    for layer, alike in groupby(layers):
        _load(blocks, layer, len(list(alike)))
    return blocks.unsplit


def _unsplit_served(tensors: Sequence[StoredTensor]) -> int:
    """What vLLM's parameters, made one after the other, leave of their blocks."""
    before, layers, after = served_requests(tensors, SMALL_REQUEST)
    sizes = [*before, *after, *(size for layer in set(layers) for size in layer)]
    blocks = _Blocks(0, min(sizes, default=0))
    for size in before:
        blocks.take(size)
    for layer, alike in groupby(layers):
        _load(blocks, layer, len(list(alike)))
    for size in after:
        blocks.take(size)
    return blocks.unsplit


def _unsplit_moved(tensors: Sequence[StoredTensor]) -> int:
    """What is left of blocks where a model is moved to the GPU, in the order of its modules (Module._apply)."""
    runs = [*moved_requests(tensors, SMALL_REQUEST)]
    blocks = _Blocks(0, min((size for layers in runs for layer in set(layers) for size in layer), default=0))
    for layers in runs:
        for layer, alike in groupby(layers):
            _load(blocks, layer, len(list(alike)))
    return blocks.unsplit


def moved_requests(tensors: Iterable[StoredTensor], least: int) -> Iterator[tuple[tuple[int, ...], ...]]:
    """The sizes above `least` as modules follow each other: layer by layer, or of one tensor outside of layers."""
    for _, run in groupby(tensors, lambda one: one.name.partition("{}")[0] if "{}" in one.name else None):
        layers: dict[int, list[int]] = {}
        for stored in run:
            size = stored.allocated // stored.module.count
            places = [place for place, _ in _places(stored)] if "{}" in stored.name else [len(layers)]
            for place in places if size > least else ():
                layers.setdefault(place, []).append(size)
        yield tuple(tuple(layers[place]) for place in sorted(layers))


def _first_block(tensors: Iterable[StoredTensor], setting: Setting) -> int | None:
    """The bytes of the block that is allocated before all others; None where nothing is left of any block."""
    if setting.stack.trainer in ENGINES or setting.weights in QUANTIZED:
        return None
    if older(setting, PACKAGE, WARMS):
        return 0
    whole = WARMS_FP8_WHOLE if setting.weights == "fp8" else WARMS_WHOLE
    if setting.weights in FLOATS or older(setting, PACKAGE, WARMS_HALF) or not older(setting, PACKAGE, whole):
        return None
    return sum(stored.bytes for stored in tensors) // 2


def _load(blocks: _Blocks, layer: tuple[int, ...], count: int) -> None:
    """Loads layers that are alike; once the free blocks are as they were before, what follows repeats itself."""
    seen: dict[tuple[int, ...], tuple[int, int]] = {}
    done = 0
    while done < count:
        state = (blocks.first, *blocks.free)
        if state in seen:
            before, unsplit = seen[state]
            rounds = (count - done) // (done - before)
            blocks.unsplit += rounds * (blocks.unsplit - unsplit)
            done += rounds * (done - before)
            seen.clear()
        else:
            seen[state] = (done, blocks.unsplit)
        for size in layer if done < count else ():
            blocks.take(size)
        done += 1


def _requests(tensors: Iterable[StoredTensor]) -> tuple[list[int], list[tuple[int, ...]]]:
    """The sizes above 1 MiB outside of the layers, and layer by layer, as a file of weights has them: by name."""
    outside, layers = requests(tensors, SMALL_REQUEST)
    return [size for size, _ in outside], [tuple(size for size, _ in layer) for layer in layers]


def requests(
    tensors: Iterable[StoredTensor], least: int
) -> tuple[list[tuple[int, str]], list[tuple[tuple[int, str], ...]]]:
    """The sizes above `least` with their names, outside of the layers and layer by layer, sorted by name."""
    outside: list[tuple[str, int]] = []
    layers: dict[int, list[tuple[str, int]]] = {}
    for stored in tensors:
        size = stored.allocated // stored.module.count
        if size <= least:
            continue
        if "{}" not in stored.name:
            outside.append((stored.name, size))
        for layer, rest in _places(stored) if "{}" in stored.name else ():
            layers.setdefault(layer, []).append((rest, size))
    in_order = (tuple((size, name) for name, size in sorted(layers[layer])) for layer in sorted(layers))
    return [(size, name) for name, size in sorted(outside)], list(in_order)


def _places(stored: StoredTensor) -> Iterator[tuple[int, str]]:
    """The layers that a tensor is in, each with the rest of its name."""
    ending = stored.name.partition("{}")[2]
    for name in stored.module.layers:
        layer, _, rest = name.partition(".")
        yield int(layer), f"{rest}{ending}"


def _segment(size: int) -> int:
    return LARGE_SEGMENT if size < OWN_SEGMENT_FROM else -(-size // SEGMENT_UNIT) * SEGMENT_UNIT
