"""Memory of libraries that torch's allocator hands out: cuBLAS."""

from __future__ import annotations

from toolkit.memory.context import Context
from toolkit.memory.ledger import PhaseName

INFERENCE = (PhaseName.PREFILL, PhaseName.DECODE)


def cublas_workspace(context: Context, phase: PhaseName) -> int:
    """One workspace for each thread that multiplies: forward's, and in training the autograd engine's.

    Source: aten/src/ATen/cuda/CUDABlas.cpp (getChosenWorkspaceSize), CublasHandlePool.cpp: one for a handle and stream.
    """
    if phase is PhaseName.LOAD:
        return 0
    return (1 if phase in INFERENCE else 2) * context.workspace
