"""The order in which formulas ask for memory and let go of it, against the order in which traced code does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")

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
ADAPTED: dict[str, Any] = {
    "method": "lora", "lora": Lora(8, 16, "all-linear", 0.05), "gradients": "fp32", "optimizer_states": "fp32",
}  # fmt: skip
OWN_LOOP = Stack("plain", "from-logits", result="loss")
CHECKPOINTS = {"gradient_checkpointing": "reentrant", "attention": "flash"}
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
    setting = Setting(MISTRAL, "full", "bf16", batch_size=1, sequence_length=65536, **CHECKPOINTS)  # type: ignore[arg-type]
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
