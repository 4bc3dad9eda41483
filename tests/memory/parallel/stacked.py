"""A decoder after an encoder, sharded by FSDP itself on a CPU as one of two ranks of a group that sends nothing."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.fsdp import BackwardPrefetch, FullyShardedDataParallel, ShardingStrategy
from torch.distributed.fsdp.wrap import ModuleWrapPolicy
from torch.testing._internal.distributed.fake_pg import FakeStore

from tests.memory.parallel.fake_group import PRE, RANKS, WIDTH, Bytes, Layer, second_pass

ENCODERS, DECODERS = 3, 4


class Attending(Layer):
    """A layer that also takes what an encoder gives, by a product of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.third = nn.Linear(WIDTH, WIDTH, bias=False)

    def forward(self, x: Any, encoded: Any) -> Any:
        return super().forward(x) + self.third(encoded)


class Stacked(nn.Module):
    """One embedding for both stacks and, if `tied`, for the output."""

    def __init__(self, vocabulary: int, *, tied: bool) -> None:
        super().__init__()
        self.shared = nn.Embedding(vocabulary, WIDTH)
        self.encoder = nn.ModuleList(Layer() for _ in range(ENCODERS))
        self.decoder = nn.ModuleList(Attending() for _ in range(DECODERS))
        self.head = nn.Linear(WIDTH, vocabulary, bias=False)
        if tied:
            self.head.weight = self.shared.weight

    def forward(self, ids: Any) -> Any:
        encoded = self.shared(ids)
        for layer in self.encoder:
            encoded = layer(encoded)
        x = self.shared(ids)
        for layer in self.decoder:
            x = layer(x, encoded)
        return self.head(x)


def run(vocabulary: int, *, tied: bool, prefetch: str | None = PRE, strategy: str = "FULL_SHARD") -> Bytes:
    """The second pass through a sharded model, whose gradients are gone by then."""
    if dist.is_initialized():
        dist.destroy_process_group()
    dist.init_process_group("fake", store=FakeStore(), rank=0, world_size=RANKS)
    try:
        return _run(Stacked(vocabulary, tied=tied), prefetch, strategy)
    finally:
        dist.destroy_process_group()


def _run(model: Any, prefetch: str | None, strategy: str) -> Bytes:
    sharded = FullyShardedDataParallel(
        model,
        auto_wrap_policy=ModuleWrapPolicy({Layer, Attending}),
        device_id=torch.device("cpu"),
        use_orig_params=True,
        backward_prefetch=None if prefetch is None else BackwardPrefetch[prefetch],
        sharding_strategy=ShardingStrategy[strategy],
    )
    return second_pass(sharded)
