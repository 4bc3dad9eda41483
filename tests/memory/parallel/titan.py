"""A small model as torchtitan has it, sharded by fully_shard itself on a CPU, in a group that sends nothing."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.nn import functional
from torch.testing._internal.distributed.fake_pg import FakeStore
from torch.utils.checkpoint import CheckpointPolicy, create_selective_checkpoint_contexts

from tests.memory.parallel.fake_group import Bytes, Storages

HIDDEN, INNER, HEADS, KEYS, LAYERS = 128, 448, 4, 2, 3
HEAD = HIDDEN // HEADS
ATTENTION = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu.default
PRODUCT = torch.ops.aten.mm.default


class WrittenNorm(nn.Module):
    """RMSNorm in float32, cast back, times the weight."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Any) -> Any:
        wide = x.float()
        return (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + 1e-5)).type_as(x) * self.weight


def turned(query: Any, key: Any, angles: Any) -> tuple[Any, Any]:
    """Neighbours as complex numbers, times the angles."""
    pairs = [torch.view_as_complex(part.float().reshape(*part.shape[:-1], -1, 2)) for part in (query, key)]
    spread = angles.view(1, angles.shape[0], 1, angles.shape[1])
    first = torch.view_as_real(pairs[0] * spread).flatten(3)
    second = torch.view_as_real(pairs[1] * spread).flatten(3)
    return first.type_as(query), second.type_as(key)


def spread_out(x: Any) -> Any:
    """Heads of keys or values once for every query head."""
    batch, length, heads, width = x.shape
    times = HEADS // KEYS
    return x[:, :, :, None, :].expand(batch, length, heads, times, width).reshape(batch, length, heads * times, width)


class Attention(nn.Module):
    """Queries, keys and values, turned and repeated; sdpa; the product after it."""

    def __init__(self) -> None:
        super().__init__()
        self.wq = nn.Linear(HIDDEN, HIDDEN, bias=False)
        self.wk = nn.Linear(HIDDEN, KEYS * HEAD, bias=False)
        self.wv = nn.Linear(HIDDEN, KEYS * HEAD, bias=False)
        self.wo = nn.Linear(HIDDEN, HIDDEN, bias=False)

    def forward(self, x: Any, angles: Any) -> Any:
        batch, length, _ = x.shape
        xq, xk, xv = self.wq(x), self.wk(x), self.wv(x)
        xq, xk, xv = (part.view(batch, length, -1, HEAD) for part in (xq, xk, xv))
        xq, xk = turned(xq, xk, angles)
        keys, values = spread_out(xk), spread_out(xv)
        xq, xk, xv = xq.transpose(1, 2), keys.transpose(1, 2), values.transpose(1, 2)
        output = functional.scaled_dot_product_attention(xq, xk, xv, is_causal=True)
        output = output.transpose(1, 2).contiguous()
        return self.wo(output.view(batch, length, -1))


class FeedForward(nn.Module):
    """A gated feed-forward."""

    def __init__(self) -> None:
        super().__init__()
        self.w1 = nn.Linear(HIDDEN, INNER, bias=False)
        self.w2 = nn.Linear(INNER, HIDDEN, bias=False)
        self.w3 = nn.Linear(HIDDEN, INNER, bias=False)

    def forward(self, x: Any) -> Any:
        return self.w2(functional.silu(self.w1(x)) * self.w3(x))


class Block(nn.Module):
    """One layer."""

    def __init__(self) -> None:
        super().__init__()
        self.attention, self.feed_forward = Attention(), FeedForward()
        self.attention_norm, self.ffn_norm = WrittenNorm(HIDDEN), WrittenNorm(HIDDEN)

    def forward(self, x: Any, angles: Any) -> Any:
        middle = x + self.attention(self.attention_norm(x), angles)
        return middle + self.feed_forward(self.ffn_norm(middle))


class Model(nn.Module):
    """Embedding, layers, norm and output weight."""

    def __init__(self, vocabulary: int, length: int) -> None:
        super().__init__()
        self.tok_embeddings = nn.Embedding(vocabulary, HIDDEN)
        self.layers = nn.ModuleDict({str(number): Block() for number in range(LAYERS)})
        self.norm = WrittenNorm(HIDDEN)
        self.output = nn.Linear(HIDDEN, vocabulary, bias=False)
        self.register_buffer("angles", torch.ones(length, HEAD // 2, dtype=torch.complex64))

    def forward(self, ids: Any) -> Any:
        h = self.tok_embeddings(ids)
        for layer in self.layers.values():
            h = layer(h, self.angles)
        return self.output(self.norm(h))


def _selecting() -> Any:
    """Every second product, and what attention gives, are kept."""
    counts: dict[bool, int] = defaultdict(int)

    def policy(context: Any, operation: Any, *args: Any, **kwargs: Any) -> Any:
        del args, kwargs
        counts[context.is_recompute] += operation == PRODUCT
        keeps = operation == ATTENTION or (operation == PRODUCT and counts[context.is_recompute] % 2 == 1)
        return CheckpointPolicy.MUST_SAVE if keeps else CheckpointPolicy.PREFER_RECOMPUTE

    return create_selective_checkpoint_contexts(policy)


def _checkpointed(model: Model, form: str, *, stops: bool) -> None:
    if form == "false":
        return
    how: dict[str, Any] = {"context_fn": _selecting} if form == "selective" else {}
    for number, layer in model.layers.named_children():
        wrapped = checkpoint_wrapper(layer, preserve_rng_state=False, early_stop=stops, **how)
        model.layers.register_module(number, wrapped)


def _sharded(model: Model, ranks: int, *, apart: bool) -> None:
    mesh = init_device_mesh("cpu", (ranks,))
    policy: Any = {
        "mesh": mesh,
        "mp_policy": MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32),
    }
    if apart:
        fully_shard(model.tok_embeddings, **policy)
    for number, layer in model.layers.items():
        fully_shard(layer, **policy, reshard_after_forward=apart or int(number) < LAYERS - 1)
    if apart:
        fully_shard([model.norm, model.output], **policy, reshard_after_forward=False)
    fully_shard(model, **policy)


def run(vocabulary: int, tokens: tuple[int, int], ranks: int, form: str, *, apart: bool) -> Bytes:
    """The second pass, whose gradients are gone by then: as of December 2024, or with embedding and end `apart`."""
    if dist.is_initialized():
        dist.destroy_process_group()
    dist.init_process_group("fake", store=FakeStore(), rank=0, world_size=ranks)
    try:
        torch.manual_seed(0)
        model = Model(vocabulary, tokens[1])
        _checkpointed(model, form, stops=not apart)
        _sharded(model, ranks, apart=apart)
        return _second_pass(model, tokens)
    finally:
        dist.destroy_process_group()


def _second_pass(model: Any, tokens: tuple[int, int]) -> Bytes:
    found = Bytes()
    for _ in range(2):
        for parameter in model.parameters():
            parameter.grad = None
        found = Bytes()
        storages = Storages(found.forward)
        for parameter in model.parameters():
            storages.see(parameter.to_local())
        ids, labels = torch.zeros(tokens, dtype=torch.long), torch.zeros(tokens, dtype=torch.long)
        with storages:
            logits = model(ids)
            loss = functional.cross_entropy(logits.flatten(0, 1).float(), labels.flatten(0, 1))
            del logits
            storages.into = found.backward
            loss.backward()
    return found
