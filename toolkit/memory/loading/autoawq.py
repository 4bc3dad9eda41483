"""What AutoAWQ takes to load a model and to make its fused blocks, replayed through the allocator.

Sources: autoawq 0.1.4 to 0.1.6, awq/models/base.py (from_quantized), awq/models/llama.py (LlamaFuser), awq/utils/
fused_utils.py (fuse_qkv), awq/modules/fused/cache.py and attn.py. The tensors of a file are loaded one by one; then
each block gets a copy of q, k and v put together, room for keys and values by way of float32, and a table of complex
angles for twice as many positions. What the blocks replace is there until the last of them is made.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

from toolkit.frozen import frozen
from toolkit.memory.allocator.caching import Block, CachingAllocator
from toolkit.memory.architecture import LayerKind
from toolkit.memory.context import Context
from toolkit.memory.loading.unsplit import requests
from toolkit.memory.size import BYTES
from toolkit.memory.weights.storage import ALLOCATION, ITEM_BYTES, StoredTensor, storage_of

FUSED = ("q_proj", "k_proj", "v_proj")
PARTS = (".qweight", ".qzeros", ".scales")
"""In the order in which they are put together."""

COMPLEX = 8
"""Bytes of a complex number of two float32."""


@frozen
class Made:
    """Bytes at the fullest moment of making the blocks, by what they are for, and after it.

    `copies` are q, k and v put together, zeros that stand in for them, and what is cast; `ends` are those of blocks
    that the allocator did not split off, `ends_after` once the old modules are gone.
    """

    copies: int
    cache: int
    angles: int
    ends: int
    ends_after: int


@frozen
class _Layer:
    """What making one block asks for: the parts of q, k and v, keys of the cache in float16, and angles."""

    loaded: tuple[int, ...]
    fused: tuple[int, ...]
    keys: int
    angles: int
    replaced: tuple[int, ...]


def made(context: Context) -> Made:
    """What making the blocks of a setting's model takes."""
    setting, architecture = context.setting, context.architecture
    stored = storage_of(architecture, setting)
    outside, layers = requests(stored, least=0)
    [kind] = architecture.layers
    per_layer = _Layer(
        loaded=tuple(size for size, _ in layers[0]),
        fused=tuple(_fused(stored)),
        keys=keys_bytes(context, kind),
        angles=angles_bytes(context, kind),
        replaced=tuple(place for place, (_, name) in enumerate(layers[0]) if set(FUSED) & set(name.split("."))),
    )
    return _replayed(tuple(size for size, _ in outside), per_layer, len(layers))


def room_of(context: Context) -> int:
    """The positions that the cache is laid out for: as said, else all that the model knows."""
    return int(context.setting.engine.get("max_new_tokens") or context.architecture.max_positions or 0)


def keys_bytes(context: Context, kind: LayerKind) -> int:
    """The keys of all sequences in one layer, in float16; as much as its values."""
    width = kind.attention.key_value_heads * kind.attention.head_dim
    return context.setting.batch_size * room_of(context) * width * BYTES["fp16"]


def angles_bytes(context: Context, kind: LayerKind) -> int:
    """RoPE.freqs_cis: a complex number for each pair of a head's values and each of twice as many positions."""
    return 2 * room_of(context) * kind.attention.head_dim // 2 * COMPLEX


def _fused(stored: Iterable[StoredTensor]) -> Iterator[int]:
    """The bytes of each part of q, k and v put together."""
    parts = [one for one in stored if one.module.leaf in FUSED]
    for name in PARTS:
        each = (one.part.elements * ITEM_BYTES[one.part.dtype] for one in parts if one.part.name == name)
        yield sum(each)


class _Replay:
    """An allocator, and the bytes that are asked for by what they are for."""

    def __init__(self) -> None:
        self.allocator = CachingAllocator()
        self.held: dict[str, int] = {}
        self.fullest: dict[str, int] = {}
        self.most = 0

    def take(self, kind: str, size: int) -> tuple[str, int, Block]:
        """Asks for memory; a moment that is fuller than any before is kept."""
        block = self.allocator.allocate(size)
        rounded = -(-size // ALLOCATION) * ALLOCATION
        self.held[kind] = self.held.get(kind, 0) + rounded
        if self.allocator.allocated > self.most:
            self.most, self.fullest = self.allocator.allocated, dict(self.held)
        return kind, rounded, block

    def give(self, *taken: tuple[str, int, Block]) -> None:
        """Gives memory back."""
        for kind, rounded, block in taken:
            self.held[kind] -= rounded
            self.allocator.free(block)


@lru_cache(maxsize=256)
def _replayed(outside: tuple[int, ...], layer: _Layer, layers: int) -> Made:
    replay = _Replay()
    for size in outside:
        replay.take("weights", size)
    loaded = [[replay.take("weights", size) for size in layer.loaded] for _ in range(layers)]
    for _ in range(layers):
        _make(replay, layer)
    fullest, ends = replay.fullest, replay.most - sum(replay.fullest.values())
    for tensors in loaded:
        replay.give(*(tensors[place] for place in layer.replaced))
    ends_after = replay.allocator.allocated - sum(replay.held.values())
    return Made(fullest.get("copies", 0), fullest.get("cache", 0), fullest.get("angles", 0), ends, ends_after)


def _make(replay: _Replay, layer: _Layer) -> None:
    """One block: zeros of all parts, in whose place copies come one by one; then values, keys and angles."""
    zeros = [replay.take("copies", size) for size in layer.fused]
    for size, zero in zip(layer.fused, zeros, strict=True):
        replay.take("copies", size)
        replay.give(zero)
    for _ in ("values", "keys"):
        wide = replay.take("copies", 2 * layer.keys)
        replay.take("cache", layer.keys)
        replay.give(wide)
    replay.take("angles", layer.angles)
