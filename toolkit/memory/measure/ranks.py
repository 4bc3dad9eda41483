"""Several GPUs of one machine: each process that torchrun started is a rank, and holds its part of the model."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh

from toolkit.facts.models import ModelFacts
from toolkit.memory.measure.model import fill, parameters_on_meta
from toolkit.memory.trace.build import architecture, prepare, refuse
from toolkit.memory.trace.refusal import UnsupportedTrace
from toolkit.memory.trace.several_gpus.sharded import share_out
from toolkit.spec.settings.setting import Setting

BACKENDS = {"cuda": "nccl", "cpu": "gloo"}


@contextmanager
def ranks_of(setting: Setting, kind: str) -> Iterator[DeviceMesh | None]:
    """The ranks of a setting in a row; None where it has one GPU. Raises UnsupportedTrace."""
    if setting.parallel.gpus == 1:
        yield None
        return
    if os.environ.get("WORLD_SIZE") != str(setting.parallel.gpus):
        raise UnsupportedTrace(f"{setting.parallel.gpus} GPUs need as many processes of torchrun")
    here = torch.device(kind, torch.cuda.current_device()) if kind == "cuda" else None
    dist.init_process_group(BACKENDS[kind], device_id=here)
    try:
        yield init_device_mesh(kind, (setting.parallel.gpus,), mesh_dim_names=("shard",))
    finally:
        dist.destroy_process_group()


def load_shared(setting: Setting, facts: ModelFacts, mesh: DeviceMesh) -> nn.Module:
    """A rank's part of the model, ready to train, on torch's default device: the whole is on no GPU at any time.

    Shared out while its parameters are meta tensors, as torch's documentation of fully_shard has it.
    """
    refuse(setting)
    with parameters_on_meta():
        model = prepare(architecture(setting, facts), setting)
    model = share_out(model, setting, mesh)
    fill(model)
    return model.train()
