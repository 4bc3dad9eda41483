"""The order in which formulas ask for memory and let go of it, against the order in which traced code does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")

from tests.memory.replay.noted import NotedRun
from tests.memory.trace.cut import cut
from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.estimate import estimate
from toolkit.memory.ledger import PhaseName
from toolkit.memory.replay.training import Run
from toolkit.memory.tape.recording import programs_of
from toolkit.memory.timeline.timeline import Timeline
from toolkit.memory.trace.trace import trace
from toolkit.spec.settings.setting import Lora, Setting, Stack

pytestmark = pytest.mark.reference

MISTRAL, LLAMA = "mistralai/Mistral-7B-v0.1", "meta-llama/Llama-3.1-8B"
OLMO, STARCODER = "allenai/OLMo-2-1124-7B", "bigcode/starcoder2-3b"
ADAPTED: dict[str, Any] = {
    "method": "lora", "lora": Lora(8, 16, "all-linear", 0.05), "gradients": "fp32", "optimizer_states": "fp32",
}  # fmt: skip
OWN_LOOP = Stack("plain", "from-logits", result="loss")
CHECKPOINTS: dict[str, Any] = {"gradient_checkpointing": "reentrant", "attention": "flash"}
CASES: dict[str, tuple[str, int, int, dict[str, Any]]] = {
    "all weights": (MISTRAL, 1, 8192, {"method": "full", **CHECKPOINTS}),
    "adapters in float32 with dropout": (MISTRAL, 1, 8192, {**ADAPTED, **CHECKPOINTS}),
    "a loop's own loss": (LLAMA, 2, 4096, {**ADAPTED, **CHECKPOINTS, "stack": OWN_LOOP}),
}
ROUNDED = 1 << 20
"""Bytes by which a formula counts the logits of a last position that are not there: each sequence's."""

Change = tuple[bool, int]
"""Whether a block is asked for, and its bytes."""


@pytest.mark.parametrize(("model", "batch", "sequence", "fields"), CASES.values(), ids=CASES)
def test_forward_and_loss_come_in_the_order_of_the_code(
    model: str, batch: int, sequence: int, fields: dict[str, Any]
) -> None:
    """Of all blocks that are larger than tables of positions and workspaces, up to the loss."""
    facts = load_model(model)
    assert isinstance(facts, ModelFacts)
    setting = Setting(model, weights="bf16", batch_size=batch, sequence_length=sequence, **fields)
    seen = trace(setting, facts).timeline
    context = estimate(setting, facts).context
    assert context is not None
    events = Run(context, programs_of(context)).events()
    least = sequence * facts.config["hidden_size"]
    expected = [*_forward(seen, least)]
    found = [*_in_order((event > 0, events.sizes[abs(event)]) for event in events.order[events.loaded :])]
    large = [change for change in found if change[1] > least]
    assert len(expected) > 500
    for number, (one, other) in enumerate(zip(large, expected, strict=False)):
        assert one[0] is other[0], number
        assert abs(one[1] - other[1]) <= ROUNDED * batch, number


def _forward(timeline: Timeline, least: int) -> Iterator[Change]:
    """What the first pass asks for and lets go of, in blocks, until its backward begins."""
    start = next(event for event, phase in timeline.marks if phase == PhaseName.FORWARD_END)
    end = next(event for event, phase in timeline.marks if phase == PhaseName.BACKWARD)
    sizes = [one.bytes for one in timeline.allocations]
    changes = ((event > 0, sizes[abs(event) - 1]) for event in timeline.events[start:end])
    return (change for change in _in_order(changes) if change[1] > least)


def _in_order(changes: Iterable[Change]) -> Iterator[Change]:
    """Releases without an allocation between them largest first: in which order they come moves nothing."""
    gone: list[Change] = []
    for change in changes:
        if change[0]:
            yield from sorted(gone, key=lambda one: -one[1])
            gone.clear()
            yield change
        else:
            gone.append(change)
    yield from sorted(gone, key=lambda one: -one[1])


def test_every_large_request_is_one_of_the_code() -> None:
    """What the flash kernel takes in its backward are several requests, and none is as large as all of them."""
    facts = load_model(MISTRAL)
    assert isinstance(facts, ModelFacts)
    setting = Setting(MISTRAL, "full", "bf16", batch_size=1, sequence_length=65536, **CHECKPOINTS)
    seen = trace(setting, facts).timeline
    context = estimate(setting, facts).context
    assert context is not None
    run = Run(context, programs_of(context)).events()
    sizes = sorted({one.bytes for one in seen.allocations})
    asked = {run.sizes[event] for event in run.order[run.loaded :] if event > 0}
    large = [size for size in asked if size > ROUNDED << 6]
    assert len(large) > 5
    for size in large:
        assert min(abs(size - one) for one in sizes) <= ROUNDED, size


def test_queries_are_normed_before_keys_are_made() -> None:
    """The embeddings, queries, two float32 tensors of their norm; all of 4,096 tokens, of which keys have as many."""
    facts = cut(OLMO, 2)
    setting = Setting(OLMO, "full", "bf16", batch_size=1, sequence_length=4096, **CHECKPOINTS)
    seen = trace(setting, facts, whole=True).timeline
    context = estimate(setting, facts).context
    assert context is not None
    events = Run(context, programs_of(context)).events()
    least = 4096 * facts.config["hidden_size"]
    found = _in_order((event > 0, events.sizes[abs(event)]) for event in events.order[events.loaded :])
    large = [change for change in found if change[1] > least]
    assert large[:8] == [*_forward(seen, least)][:8]
    assert [size for _, size in large[:4]] == [2 * least, 2 * least, 4 * least, 4 * least]


def _of_autograd(seen: Timeline) -> list[tuple[str, int]]:
    """What the first backward pass of a trace asks for, each with the operation that asks."""
    start = next(event for event, phase in seen.marks if phase == PhaseName.BACKWARD)
    made = [seen.allocations[event - 1] for event in seen.events[start:] if event > 0]
    return [(one.operation, one.bytes) for one in made]


def test_the_tiles_of_a_loss_come_before_what_autograds_thread_takes() -> None:
    """TRL's loss: sums of gradients, a tile, a copy of its rows, and cuBLAS's scratch for the first product with it.

    The rows of the tile before have a name until those of the next are there; a vocabulary of 100,352 has four tiles,
    the last of 2,048 rows.
    """
    facts = cut(OLMO, 2)
    stack = Stack("trl", "chunked", {"trl": "1.16.0"})
    mixed: dict[str, Any] = {"amp": True, "compute": "bf16", "gradients": "fp32", "optimizer_states": "fp32"}
    setting = Setting(OLMO, "full", "fp32", batch_size=1, sequence_length=768, attention="flash", stack=stack, **mixed)
    seen = trace(setting, facts, whole=True).timeline
    traced = _of_autograd(seen)
    context = estimate(setting, facts).context
    assert context is not None
    width, rows = facts.config["hidden_size"], facts.config["vocab_size"]
    copies = [4 * width * 32768 // 2, 4 * width * (rows - 3 * 32768) // 2]
    expected = [size for _, size in traced[:20] if size in copies or size == context.workspace]
    run = NotedRun(context, programs_of(context))
    events = run.events()
    found = [events.sizes[event] for event in events.order[run.begins[0] :] if event > 0][:20]
    large = [size for size in found if size in copies or size == context.workspace]
    assert expected[:1] == copies[:1]
    assert large[:3] == [copies[0], context.workspace, copies[0]]
    assert large[3] == copies[1]


def test_a_product_with_a_bias_makes_the_gradient_of_its_input_first() -> None:
    """Of the last projection of each layer, whose weight and input are the largest that backward makes gradients of.

    The engine makes them in the order of the names of an operator's arguments: mat1, mat2 of addmm; mat2, self of mm.
    """
    facts = cut(STARCODER, 2)
    setting = Setting(STARCODER, "full", "bf16", batch_size=2, sequence_length=1024, **CHECKPOINTS)
    seen = trace(setting, facts, whole=True).timeline
    context = estimate(setting, facts).context
    assert context is not None
    hidden, inner = facts.config["hidden_size"], facts.config["intermediate_size"]
    of_input, of_weight = 2 * 1024 * inner * 2, hidden * inner * 2
    run = NotedRun(context, programs_of(context))
    events = run.events()
    found = [events.sizes[event] for event in events.order[run.begins[0] :] if event > 0]
    products = [size for operation, size in _of_autograd(seen) if operation == "aten::mm"]
    first = products.index(of_weight)
    assert products[first - 1 : first + 1] == [of_input, of_weight]
    first = found.index(of_weight)
    assert found[first - 1 : first + 1] == [of_input, of_weight]
