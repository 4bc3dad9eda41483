"""The tensors that vLLM allocates one by one as it makes a model: q, k and v as one, gate and up as one.

Sources: vllm model_executor/layers/linear.py (QKVParallelLinear, MergedColumnParallelLinear) and fused_moe/layer.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from toolkit.memory.weights.storage import ALLOCATION, StoredTensor

MERGED: Mapping[str, str] = {
    "q_proj": "qkv_proj",
    "k_proj": "qkv_proj",
    "v_proj": "qkv_proj",
    "gate_proj": "gate_up_proj",
    "up_proj": "gate_up_proj",
}
"""Linears that vLLM merges into one."""

SCALES = ".absmax"
"""bitsandbytes' scales, which stay separate for each linear, and are made after all weights."""


def served_requests(tensors: Iterable[StoredTensor], least: int) -> tuple[list[int], list[tuple[int, ...]], list[int]]:
    """The sizes above `least` before the layers, in each layer, and after them, in the order in which they are made."""
    before: list[int] = []
    after: list[int] = []
    scales: dict[int, list[int]] = {}
    layers: dict[int, dict[str, int]] = {}
    for stored in tensors:
        size = stored.bytes // stored.module.count
        if stored.part.name == SCALES and "{}" in stored.module.path:
            for layer in stored.module.layers:
                scales.setdefault(int(layer.partition(".")[0]), []).append(size)
        elif "{}" in stored.module.path:
            for layer in stored.module.layers:
                index = int(layer.partition(".")[0])
                made = layers.setdefault(index, {})
                name = f"{_merged(stored)}{layer.partition('.')[2]}"
                made[name] = made.get(name, 0) + size
        else:
            (after if layers else before).append(size)
    in_order = [tuple(_large(layers[index].values(), least)) for index in sorted(layers)]
    after.extend(size for index in sorted(scales) for size in scales[index])
    return _large(before, least), in_order, _large(after, least)


def _merged(stored: StoredTensor) -> str:
    """The tensor's name within its layer: that of the merged product that it is part of."""
    parent, _, leaf = stored.module.path.rpartition(".")
    return f"{parent}.{MERGED.get(leaf, leaf)}.{stored.tensor.name}{stored.part.name}"


def _large(sizes: Iterable[int], least: int) -> list[int]:
    return [-(-size // ALLOCATION) * ALLOCATION for size in sizes if size > least]
