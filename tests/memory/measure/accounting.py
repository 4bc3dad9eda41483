"""A stand-in for a GPU, for these tests alone: CPU tensors, with every storage counted as an allocator would.

It proves the code around CUDA. It says nothing about CUDA's own numbers.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from toolkit.memory.measure.device import Counters

CONTEXT = 400 << 20
SEGMENT = 2 << 20


class CardIsFullError(RuntimeError):
    pass


class AccountingDevice(TorchDispatchMode):
    """Enter it, and run a measurement inside."""

    kind = "cpu"
    before = 7 << 20

    def __init__(self, capacity: int | None = None) -> None:
        super().__init__()
        self.capacity = capacity
        self.now = self.peak = 0
        self.settled = 0
        self._alive: dict[int, weakref.ref[torch.UntypedStorage]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if isinstance(leaf, torch.Tensor) and leaf.device.type == "cpu":
                self._see(leaf.untyped_storage())
        return out

    def _see(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key in self._alive:
            return
        size = -(-storage.nbytes() // 512) * 512
        if self.capacity is not None and self.now + size > self.capacity:
            raise CardIsFullError(f"CUDA out of memory. Tried to allocate {size} bytes.")
        self.now += size
        self.peak = max(self.peak, self.now)
        self._alive[key] = weakref.ref(storage, partial(self._gone, key, size))

    def _gone(self, key: int, size: int, _: object) -> None:
        del self._alive[key]
        self.now -= size

    def start(self) -> None:
        pass

    def settle(self) -> None:
        self.settled += 1

    def reset_peaks(self) -> None:
        self.peak = self.now

    def counters(self) -> Counters:
        reserved = -(-self.peak // SEGMENT) * SEGMENT
        return Counters(self.now, self.peak, self.peak, self.peak, reserved, reserved, 0)

    def used(self) -> int | None:
        return self.before + self.counters().reserved_now + CONTEXT

    def description(self) -> Mapping[str, str]:
        return {"gpu": "none (accounting on the CPU)", "driver": "none", "cuda": "none", "device_by": "accounting"}

    def is_full(self, error: BaseException) -> bool:
        return isinstance(error, CardIsFullError)
