"""Gradients of a tied embedding: what torch's engine adds anew and what in place, against what programs say."""

from __future__ import annotations

from collections.abc import Callable

import pytest

torch = pytest.importorskip("torch")

from torch.nn.functional import embedding, linear  # noqa: E402
from torch.profiler import ProfilerActivity, profile  # noqa: E402
from torch.utils.checkpoint import checkpoint  # noqa: E402

from tests.memory.trace.cut import cut  # noqa: E402
from toolkit.memory.contexts import contexts_of  # noqa: E402
from toolkit.memory.tape.recording import programs_of  # noqa: E402
from toolkit.spec.settings.setting import Setting, Stack  # noqa: E402

pytestmark = pytest.mark.reference

VOCABULARY, WIDTH, CHUNK = 1_000, 64, 256
WEIGHT = [VOCABULARY, WIDTH]

Sum = Callable[["torch.Tensor", "torch.Tensor"], "torch.Tensor"]


def whole(hidden: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """A sum of all logits."""
    return linear(hidden, weight).float().sum()


def in_chunks(hidden: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """A sum of logits under checkpointing, a chunk at a time, as TRL's chunked loss takes them."""
    total = torch.zeros(())
    for part in hidden.split(CHUNK):
        total = total + checkpoint(whole, part, weight, use_reentrant=False)
    return total


def additions(tokens: int, summed: Sum) -> tuple[int, int]:
    """How many sums of the weight's gradients are new tensors, and how many are made in place."""
    weight = torch.nn.Parameter(torch.randn(*WEIGHT, dtype=torch.bfloat16))
    loss = summed(embedding(torch.arange(tokens) % VOCABULARY, weight) * 1.5, weight)
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as seen:
        loss.backward()
    events = seen.key_averages(group_by_input_shape=True)
    anew, in_place = (
        sum(one.count for one in events if one.key == name and WEIGHT in one.input_shapes)
        for name in ("aten::add", "aten::add_")
    )
    return anew, in_place


def adds_anew(tokens: int, stack: Stack) -> bool:
    """Whether the programs of a tied model in 16 bit add the embedding's gradient in a new tensor."""
    name = "Qwen/Qwen2.5-0.5B"
    setting = Setting(
        name, "full", "bf16", amp=True, gradients="bf16", optimizer_states="bf16", sequence_length=tokens, stack=stack
    )
    [context] = contexts_of(setting, cut(name, 1))
    return programs_of(context).adds_anew(context.scale.chunks)


CHUNKED = Stack("trl", "chunked", {"trl": "1.14.1"})


def test_the_only_other_gradient_is_added_to_in_a_new_tensor() -> None:
    assert additions(600, whole) == (1, 0)
    assert adds_anew(600, Stack("plain"))
    assert additions(CHUNK, in_chunks) == (1, 0)
    assert adds_anew(CHUNK, CHUNKED)


def test_a_sum_over_chunks_is_added_to_in_place() -> None:
    """Two chunks make the new tensor: that of the embedding, and of any further chunk, goes into it."""
    assert additions(2 * CHUNK, in_chunks) == (1, 1)
    assert additions(2 * CHUNK + 1, in_chunks) == (1, 2)
    assert not adds_anew(2 * CHUNK + 1, CHUNKED)
