"""Memory that torch's allocator gives to libraries: cuBLAS's workspaces."""

from __future__ import annotations

from collections.abc import Mapping

from toolkit.facts.gpus import find_gpu
from toolkit.facts.names import UnknownName
from toolkit.memory.context import Context
from toolkit.memory.ledger import PhaseName
from toolkit.memory.libraries.trainers import MEGATRON
from toolkit.spec.fields import process as process_fields
from toolkit.spec.settings.setting import Setting

OWN: Mapping[str, int] = {PhaseName.LOAD: 0, PhaseName.PREFILL: 1, PhaseName.DECODE: 1}
"""Threads that have run a matrix product by a phase of inference; in training there are two."""
LEFT = {process_fields.NONE: 0, process_fields.INFERENCE: 1, process_fields.TRAINING: 2}
"""Workspaces that already exist, by what the process ran before."""


OF_TRANSFORMER_ENGINE = "transformer_engine_workspace"
HOPPER = 9
OLDER_CARDS, NEWER_CARDS = 4 << 20, (32 << 20) + 1024
"""Bytes by the card's major capability (transformer_engine/pytorch/cpp_extensions/gemm.py)."""


def cublas_workspace(context: Context, phase: PhaseName) -> int:
    """One workspace for each thread that runs matrix products: forward's, and in training the autograd engine's.

    Earlier passes of the same process left one per thread. Source: aten/src/ATen/cuda/CUDABlas.cpp
    (getChosenWorkspaceSize), CublasHandlePool.cpp: one for each handle and stream, which is never freed.
    """
    return workspaces_at(context.setting, phase) * context.workspace


def transformer_engine_workspace(context: Context, phase: PhaseName) -> int:
    """What TransformerEngine's modules share for their matrix products, from the first one on."""
    if context.setting.stack.trainer != MEGATRON or phase is PhaseName.LOAD:
        return 0
    return transformer_engine_bytes(context.setting.gpu)


def transformer_engine_bytes(gpu: str | None) -> int:
    """TransformerEngine's workspace on a GPU, the larger where a name is of several; that of older ones where none is.

    Source: transformer_engine/pytorch/module/base.py, get_cublas_workspace_size_bytes.
    """
    found = None if gpu is None else find_gpu(gpu)
    if found is None or isinstance(found, UnknownName):
        return OLDER_CARDS
    return NEWER_CARDS if any(_is_newer(card.architecture) for card in found.members) else OLDER_CARDS


def _is_newer(architecture: str) -> bool:
    major = architecture.removeprefix("sm_")[:-1]
    return major.isdigit() and int(major) >= HOPPER


def workspaces_at(setting: Setting, phase: str) -> int:
    """How many workspaces there are in a phase."""
    return max(OWN.get(phase, 2), _left(setting))


def workspaces_before(context: Context) -> int:
    """How many workspaces there are before the model is loaded."""
    return _left(context.setting)


def _left(setting: Setting) -> int:
    """Those of earlier passes; and where a model is loaded with DoRA's adapters, that by which lengths are found.

    Source: peft tuners/lora/dora.py, DoraLinearLayer.update_layer, which multiplies B by A.
    """
    measures = not setting.trains and setting.lora is not None and setting.lora.dora
    return max(LEFT[setting.earlier_passes], int(measures))
