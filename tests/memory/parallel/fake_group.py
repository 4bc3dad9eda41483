"""FSDP itself on a CPU, as one of two ranks of a process group that sends nothing: what its storages take, op by op."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.fsdp import BackwardPrefetch, FullyShardedDataParallel, ShardingStrategy
from torch.distributed.fsdp.wrap import ModuleWrapPolicy
from torch.multiprocessing.reductions import StorageWeakRef
from torch.testing._internal.distributed.fake_pg import FakeStore
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter
from torch.utils.checkpoint import checkpoint

WIDTH, LAYERS, RANKS = 256, 5, 2
FLOAT = 4
PRE = "BACKWARD_PRE"


class Layer(nn.Module):
    """Two products and a residual."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(WIDTH, WIDTH, bias=False)
        self.second = nn.Linear(WIDTH, WIDTH, bias=False)

    def forward(self, x: Any) -> Any:
        return x + self.second(torch.tanh(self.first(x)))


class Checkpointed(Layer):
    """The same, checkpointed within itself."""

    def forward(self, x: Any) -> Any:
        return checkpoint(super().forward, x, use_reentrant=True)


class Model(nn.Module):
    """An embedding, layers and an output projection, the layers checkpointed from outside as transformers 4 did.

    The form "inside" has reentrant checkpoints within the layers, as transformers from 4.53.
    """

    def __init__(self, vocabulary: int, form: str) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, WIDTH)
        self.layers = nn.ModuleList(Checkpointed() if form == "inside" else Layer() for _ in range(LAYERS))
        self.head = nn.Linear(WIDTH, vocabulary, bias=False)
        self.form = form

    def forward(self, ids: Any) -> Any:
        x = self.embedding(ids)
        if not x.requires_grad:
            x.requires_grad_()
        for layer in self.layers:
            if self.form in ("false", "inside"):
                x = layer(x)
            else:
                x = checkpoint(layer.__call__, x, use_reentrant=self.form == "reentrant")
        return self.head(x)


@dataclass
class Bytes:
    """The bytes of all storages after each operation, forward and backward."""

    forward: list[int] = field(default_factory=list)
    backward: list[int] = field(default_factory=list)


class Storages(TorchDispatchMode):
    """Counts the storages of all tensors that operations saw, at the sizes that FSDP has given them by then."""

    def __init__(self, into: list[int]) -> None:
        super().__init__()
        self.into = into
        self.seen: dict[int, Any] = {}

    def see(self, thing: Any) -> None:
        if isinstance(thing, torch.Tensor):
            storage = thing.untyped_storage()
            self.seen[storage._cdata] = StorageWeakRef(storage)

    def total(self) -> int:
        alive = [torch.UntypedStorage._new_with_weak_ptr(weak.cdata) for weak in self.seen.values()]
        self.seen = {key: weak for (key, weak), one in zip(self.seen.items(), alive, strict=True) if one is not None}
        return sum(one.nbytes() for one in alive if one is not None)

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        for thing in tree_iter((args, kwargs, result)):
            self.see(thing)
        self.into.append(self.total())
        return result


def run(
    vocabulary: int,
    form: str,
    tokens: int = 1,
    *,
    frozen: bool = False,
    prefetch: str | None = PRE,
    strategy: str = "FULL_SHARD",
    apart: bool = False,
) -> Bytes:
    """The second pass through a sharded model without gradients of the first; its embedding may be a unit `apart`."""
    if not dist.is_initialized():
        dist.init_process_group("fake", store=FakeStore(), rank=0, world_size=RANKS)
    torch.manual_seed(0)
    model = Model(vocabulary, form)
    if frozen:
        model.requires_grad_(False)
    policy = ModuleWrapPolicy({Layer, Checkpointed, *((nn.Embedding,) if apart else ())})
    ahead = None if prefetch is None else BackwardPrefetch[prefetch]
    sharded = FullyShardedDataParallel(
        model,
        auto_wrap_policy=policy,
        device_id=torch.device("cpu"),
        use_orig_params=True,
        backward_prefetch=ahead,
        sharding_strategy=ShardingStrategy[strategy],
    )
    return second_pass(sharded, tokens)


def second_pass(sharded: Any, tokens: int = 1) -> Bytes:
    """What is alive in the second pass through a sharded model: the gradients of the first are gone by then."""
    ids = torch.zeros(1, tokens, dtype=torch.long)
    found = Bytes()
    for _ in range(2):
        for parameter in sharded.parameters():
            parameter.grad = None
        found = Bytes()
        storages = Storages(found.forward)
        for parameter in sharded.parameters():
            storages.see(parameter)
        with storages:
            loss = sharded(ids).sum()
            storages.into = found.backward
            loss.backward()
    return found


def unsynchronized(vocabulary: int) -> int:
    """The bytes of all storages after a backward that shares nothing out, but for the parts that a rank holds.

    Of each layer one of two weights is trained, and nothing outside of the layers.
    """
    if not dist.is_initialized():
        dist.init_process_group("fake", store=FakeStore(), rank=0, world_size=RANKS)
    torch.manual_seed(0)
    model = Model(vocabulary, "false")
    model.requires_grad_(False)
    for layer in model.layers:
        layer.second.requires_grad_(True)
    policy = ModuleWrapPolicy({Layer})
    sharded = FullyShardedDataParallel(
        model, auto_wrap_policy=policy, device_id=torch.device("cpu"), use_orig_params=True
    )
    found = Bytes()
    storages = Storages(found.backward)
    held = (2 * vocabulary + LAYERS * 2 * WIDTH) * WIDTH * FLOAT // RANKS
    with storages, sharded.no_sync():
        sharded(torch.zeros(1, 1, dtype=torch.long)).sum().backward()
    return storages.total() - held
