"""From allocated bytes to what the caching allocator holds and what the card shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from toolkit.facts.contexts import context_of, eager_context, loads_all
from toolkit.facts.gpus import find_gpu
from toolkit.facts.names import UnknownName
from toolkit.facts.workspaces import workspace_of
from toolkit.spec.settings.setting import Parallel

Interval = tuple[int, int]

DEFAULT_WORKSPACE = 8_519_680
"""cuBLAS's workspace outside Hopper: 2 x 4,096 KiB + 8 x 16 KiB (aten/src/ATen/cuda/CublasHandlePool.cpp)."""

CONTEXT = (250 << 20, 1_500 << 20)
"""The least and the most that a CUDA context has been seen to take, where no GPU is named."""

NEWEST: Mapping[str, str] = {}
"""No releases by package: those of today."""

NCCL_BUFFERS = 688 << 20
"""The most that one communicator takes: seen on four A100, and 544 MiB on two of them (NCCL issue 964).

The rule gives 588 MiB: 32 channels, a ring and a tree, and three protocols.

A connection has 4 MiB for Simple, 120 x 640 x 8 steps x 8 bytes for LL128 and 8 x 512 x 8 steps x 16 bytes for LL (NCCL
src/init.cc, computeBuffSizes; src/include/device.h). Few GPUs open fewer channels, and none may be open yet.
"""

ALONE = Parallel()
PIPELINE = "pipeline"

SEGMENT_UNIT = 2 << 20
LAST_SEGMENTS = 2 * ((20 << 20) + (2 << 20))
"""A segment for requests of 1 to 10 MiB and one for smaller ones, once as the model loads and once as it runs."""

OWN_SEGMENT_FROM = 10 << 20
SHARED_SEGMENT = 20 << 20
SHARED_FROM = 1 << 20


def workspace_bytes(gpu: str | None, versions: Mapping[str, str] = NEWEST) -> int:
    """The cuBLAS workspace on a GPU under some releases; that of most GPUs where none is named."""
    if gpu is None:
        return DEFAULT_WORKSPACE
    found = find_gpu(gpu)
    return DEFAULT_WORKSPACE if isinstance(found, UnknownName) else workspace_of(found, versions)


def context_interval(gpu: str | None, versions: Mapping[str, str] = NEWEST) -> Interval:
    """What the CUDA context takes on a GPU under some releases; the widest known where none is named."""
    found = None if gpu is None else find_gpu(gpu)
    if found is None or isinstance(found, UnknownName):
        return eager_context() if loads_all(versions) else CONTEXT
    return context_of(found, versions)


def reserved_interval(allocated: int, most: Iterable[int], rounding: int) -> Interval:
    """At least what is allocated at the peak; at most what is reserved if no row ever takes over another's blocks.

    The caching allocator gives freed blocks to later requests that fit into them, whole or in part, but never joins
    blocks of different segments (c10/cuda/CUDACachingAllocator.cpp). In the worst case every row therefore keeps the
    `most` that it ever took, over all moments, and segments of weights are rounded up by `rounding`. Beyond that the
    segments opened last may be all but empty.
    """
    return allocated, max(allocated, sum(most) + rounding + LAST_SEGMENTS)


def segment_rounding(tensor: int) -> int:
    """What segments add to a tensor that is loaded: 10 MiB or more have one of their own, in units of 2 MiB.

    Of those above 1 MiB so many share one of 20 MiB as there is room for; smaller ones leave next to nothing.
    """
    if tensor >= OWN_SEGMENT_FROM:
        return -tensor % SEGMENT_UNIT
    return SHARED_SEGMENT // (SHARED_SEGMENT // tensor) - tensor if tensor > SHARED_FROM else 0


def device_interval(
    reserved: Interval, gpu: str | None, parallel: Parallel = ALONE, versions: Mapping[str, str] = NEWEST
) -> Interval:
    """Reserved plus the CUDA context under some releases, and what NCCL allocates beside torch."""
    low, high = context_interval(gpu, versions)
    return reserved[0] + low, reserved[1] + high + nccl_bytes(parallel)


def nccl_bytes(parallel: Parallel) -> int:
    """The most that NCCL takes on a GPU. Layers that one process spreads over GPUs send nothing by it."""
    alone = parallel.strategy == PIPELINE and parallel.schedule is None
    several = parallel.gpus > 1 or parallel.tensor_parallel > 1
    return NCCL_BUFFERS if several and not alone else 0
