"""fully_shard itself on a CPU, as one of several ranks of a group that sends nothing: its storages, op by op."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.testing._internal.distributed.fake_pg import FakeStore

from tests.memory.parallel.fake_group import Bytes, Model, Storages


def local_elements(rows: int, columns: int, ranks: int) -> int:
    """Elements of the first rank's part of one weight."""
    _start(ranks)
    try:
        linear = torch.nn.Linear(columns, rows, bias=False)
        fully_shard(linear, mesh=init_device_mesh("cpu", (ranks,)))
        return int(next(linear.parameters()).to_local().numel())
    finally:
        dist.destroy_process_group()


def _start(ranks: int) -> None:
    if dist.is_initialized():
        dist.destroy_process_group()
    dist.init_process_group("fake", store=FakeStore(), rank=0, world_size=ranks)


def run(vocabulary: int, ranks: int, *, reshards: bool = True, half: bool = False, form: str = "false") -> Bytes:
    """The second pass through a model whose layers and rest are sharded, whose gradients are gone by then."""
    _start(ranks)
    try:
        return _run(vocabulary, ranks, reshards=reshards, half=half, form=form)
    finally:
        dist.destroy_process_group()


def _run(vocabulary: int, ranks: int, *, reshards: bool, half: bool, form: str) -> Bytes:
    torch.manual_seed(0)
    model: Any = Model(vocabulary, form)
    mesh = init_device_mesh("cpu", (ranks,))
    dtype = torch.bfloat16 if half else None
    policy = MixedPrecisionPolicy(param_dtype=dtype, reduce_dtype=dtype)
    for layer in model.layers:
        fully_shard(layer, mesh=mesh, mp_policy=policy, reshard_after_forward=reshards)
    fully_shard(model, mesh=mesh, mp_policy=policy)
    ids = torch.zeros(1, 1, dtype=torch.long)
    found = Bytes()
    for _ in range(2):
        for parameter in model.parameters():
            parameter.grad = None
        found = Bytes()
        storages = Storages(found.forward)
        for parameter in model.parameters():
            storages.see(parameter.to_local())
        with storages:
            loss = model(ids).float().sum()
            storages.into = found.backward
            loss.backward()
    return found
