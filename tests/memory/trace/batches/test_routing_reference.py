"""Experts that ask which tokens are theirs are each given as many, and nothing else is answered."""

from __future__ import annotations

import gc

import pytest

pytest.importorskip("torch")

import torch
from torch import nn

from toolkit.memory.timeline.timeline import Allocation
from toolkit.memory.trace.batches.routing import NONZERO, Routing, spreads
from toolkit.memory.trace.recorder import Recorder
from toolkit.memory.trace.refusal import UnsupportedTrace
from toolkit.memory.trace.stand_ins.on_gpu import OnGpu

pytestmark = pytest.mark.reference

TOKENS, CHOSEN, EXPERTS, WIDTH = 7, 2, 4, 16


class Mixture(nn.Module):
    """Experts over their own tokens, by the operators with which transformers had them."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Linear(WIDTH, EXPERTS, bias=False)
        self.experts = nn.ModuleList(nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(EXPERTS))
        self.rows: list[int] = []

    def forward(self, hidden: torch.Tensor, *, lists: bool) -> torch.Tensor:
        weights, chosen = torch.topk(self.gate(hidden).softmax(-1), CHOSEN)
        out = torch.zeros_like(hidden)
        masks = nn.functional.one_hot(chosen, num_classes=EXPERTS).permute(2, 1, 0)
        for number, expert in enumerate(self.experts):
            which, token = torch.where(masks[number])
            self.rows.append(token.shape[0])
            index = (token.tolist(), which.tolist()) if lists else (token, which)
            out.index_add_(0, token, expert(hidden[index[0]]) * weights[index[0], index[1], None])
        return out


def run(*, lists: bool) -> tuple[list[int], Recorder]:
    recorder = Recorder(0)
    with OnGpu(recorder.routing), recorder.routing.read(), recorder, torch.device("meta"):
        model = Mixture()
        loss = model(torch.empty(TOKENS, WIDTH), lists=lists).sum()
        torch.autograd.backward(loss)
    return model.rows, recorder


@pytest.mark.parametrize("lists", [False, True])
def test_tokens_are_spread_evenly_and_none_is_lost(lists: bool) -> None:
    rows, _ = run(lists=lists)
    assert sum(rows) == TOKENS * CHOSEN
    assert max(rows) - min(rows) <= 1


def test_positions_of_any_other_tensor_are_not_told() -> None:
    with Recorder(0), torch.device("meta"), pytest.raises(UnsupportedTrace):
        torch.where(torch.empty(3, 4, dtype=torch.long))
    with pytest.raises(RuntimeError):
        torch.empty(3, dtype=torch.long, device="meta").tolist()


def test_a_tensor_that_takes_the_place_of_a_one_hot_one_is_not_taken_for_it() -> None:
    routing = Routing()
    one_hot = routing.one_hot(torch.empty(5, 2, dtype=torch.long, device="meta"), 3)
    assert routing.nonzero(one_hot.permute(2, 1, 0)[1]) is not None
    assert routing.nonzero(one_hot) is None  # all classes at once
    del one_hot
    gc.collect()
    assert not routing._classes


def test_a_record_is_told_of_layers_alone() -> None:
    assert spreads([Allocation(8, NONZERO, "model.layers.3.mlp")])
    assert not spreads([Allocation(8, NONZERO, ""), Allocation(8, "aten::mm", "model.layers.3.mlp")])
