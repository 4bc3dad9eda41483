"""Memory of libraries that torch's allocator hands out: cuBLAS."""

from __future__ import annotations

from toolkit.memory.context import Context
from toolkit.memory.ledger import PhaseName
from toolkit.spec.fields import process as process_fields

OWN = {PhaseName.LOAD: 0, PhaseName.PREFILL: 1, PhaseName.DECODE: 1}
"""Threads that have multiplied by a phase; in training two."""
LEFT = {process_fields.NONE: 0, process_fields.INFERENCE: 1, process_fields.TRAINING: 2}
"""Workspaces that are there already, by what the process ran before."""


def cublas_workspace(context: Context, phase: PhaseName) -> int:
    """One workspace for each thread that multiplies: forward's, and in training the autograd engine's.

    What ran before in the same process left as many as it had threads. Source: aten/src/ATen/cuda/CUDABlas.cpp
    (getChosenWorkspaceSize), CublasHandlePool.cpp: one for a handle and stream, which is never given back.
    """
    own = OWN.get(phase, 2)
    return max(own, workspaces_before(context)) * context.workspace


def workspaces_before(context: Context) -> int:
    """The workspaces that there are before the model is loaded."""
    return LEFT[context.setting.earlier_passes]
