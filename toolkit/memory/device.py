"""From allocated bytes to what the caching allocator holds and what the card shows."""

from __future__ import annotations

from toolkit.facts.gpus import find_gpu
from toolkit.facts.names import UnknownName
from toolkit.memory.ledger import Ledger

Interval = tuple[int, int]

DEFAULT_WORKSPACE = 8_519_680
"""cuBLAS's workspace outside Hopper: 2 x 4,096 KiB + 8 x 16 KiB (aten/src/ATen/cuda/CublasHandlePool.cpp)."""

CONTEXT = (250 << 20, 1_500 << 20)


def workspace_bytes(gpu: str | None) -> int:
    """The cuBLAS workspace on a GPU; that of most where none is named."""
    if gpu is None:
        return DEFAULT_WORKSPACE
    found = find_gpu(gpu)
    return DEFAULT_WORKSPACE if isinstance(found, UnknownName) else found.cublas_workspace


def context_interval(gpu: str | None) -> Interval:
    """What the CUDA context takes on a GPU; the widest known where none is named."""
    if gpu is None:
        return CONTEXT
    found = find_gpu(gpu)
    return CONTEXT if isinstance(found, UnknownName) else (found.context_low, found.context_high)


def reserved_interval(ledger: Ledger) -> Interval:
    """At least what is allocated."""
    return ledger.peak.total, ledger.peak.total


def device_interval(reserved: Interval, gpu: str | None) -> Interval:
    """Reserved plus the CUDA context."""
    low, high = context_interval(gpu)
    return reserved[0] + low, reserved[1] + high
