"""Memory that torch's allocator gives to libraries: cuBLAS's workspaces."""

from __future__ import annotations

from collections.abc import Mapping

from toolkit.memory.context import Context
from toolkit.memory.ledger import PhaseName
from toolkit.spec.fields import process as process_fields
from toolkit.spec.settings.setting import Setting

OWN: Mapping[str, int] = {PhaseName.LOAD: 0, PhaseName.PREFILL: 1, PhaseName.DECODE: 1}
"""Threads that have run a matrix product by a phase of inference; in training there are two."""
LEFT = {process_fields.NONE: 0, process_fields.INFERENCE: 1, process_fields.TRAINING: 2}
"""Workspaces that already exist, by what the process ran before."""


def cublas_workspace(context: Context, phase: PhaseName) -> int:
    """One workspace for each thread that runs matrix products: forward's, and in training the autograd engine's.

    Earlier passes of the same process left one per thread. Source: aten/src/ATen/cuda/CUDABlas.cpp
    (getChosenWorkspaceSize), CublasHandlePool.cpp: one for each handle and stream, which is never freed.
    """
    return workspaces_at(context.setting, phase) * context.workspace


def workspaces_at(setting: Setting, phase: str) -> int:
    """How many workspaces there are in a phase."""
    return max(OWN.get(phase, 2), LEFT[setting.earlier_passes])


def workspaces_before(context: Context) -> int:
    """How many workspaces there are before the model is loaded."""
    return LEFT[context.setting.earlier_passes]
