"""How long a loop has a name for what the model gives."""

from __future__ import annotations

import pytest

from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.context import Context
from toolkit.memory.estimate import Estimate, estimate
from toolkit.memory.replay.reserved import replayed
from toolkit.memory.replay.training import Run
from toolkit.memory.tape.recording import programs_of
from toolkit.spec.settings.setting import Setting, Stack

MODEL = "Qwen/Qwen2.5-0.5B"
LOGITS = 4 * 1024 * 151936 * 2


def _estimate(result: str | None) -> Estimate:
    facts = load_model(MODEL)
    assert isinstance(facts, ModelFacts)
    stack = Stack("plain", "from-logits", result=result)
    fields = {"batch_size": 4, "sequence_length": 1024, "gradient_checkpointing": "reentrant", "stack": stack}
    return estimate(Setting(MODEL, "full", "bf16", **fields), facts)  # type: ignore[arg-type]


def _context(result: str | None) -> Context:
    context = _estimate(result).context
    assert context is not None
    return context


def _gone(result: str | None, *, holds: bool = False) -> str:
    """When a run lets go of the logits that the first pass has given: they are made first of what is of their size."""
    context = _context(result)
    run = Run(context, programs_of(context), holds=holds)
    events = run._writer.events
    run.load()
    run.pass_through(accumulates=False)
    run.step()
    stepped = len(events.order)
    run.pass_through(accumulates=False)
    order = events.order
    logits = [event for event in order if event > 0 and events.sizes[event] == LOGITS]
    released = order.index(-logits[0])
    each = len(logits) // 2  # of the first pass, and of the second
    if released < stepped:
        return "in the pass" if released < order.index(logits[each - 1]) else "after the pass"
    return "before the next" if released < order.index(logits[each]) else "in the next"


@pytest.mark.parametrize(
    ("result", "gone"),
    [(None, "in the pass"), ("loss", "in the pass"), ("step", "before the next"), ("next", "in the next")],
)
def test_logits_go_when_their_name_does(result: str | None, gone: str) -> None:
    assert _gone(result) == gone


def test_what_is_not_said_may_be_either() -> None:
    """The bounds of a loop that nobody has seen begin where it holds nothing, and end where it holds all it may."""
    assert _gone(None, holds=True) == "in the next"
    bounds = {result: replayed(_estimate(result)) for result in (None, "loss", "next")}
    assert bounds[None][0] == bounds["loss"][0]
    assert bounds["loss"][1] < bounds[None][1] <= bounds["next"][1]


def test_what_stays_after_a_step_is_of_a_name_alone() -> None:
    assert [_estimate(result).outputs for result in (None, "loss", "step", "next")] == [LOGITS, 0, 0, LOGITS]


def _alive_after_a_step(stack: Stack) -> int:
    """The bytes that are there once the first step is done."""
    facts = load_model(MODEL)
    assert isinstance(facts, ModelFacts)
    context = estimate(Setting(MODEL, "full", "bf16", batch_size=4, sequence_length=1024, stack=stack), facts).context
    assert context is not None
    run = Run(context, programs_of(context))
    run.load()
    run.pass_through(accumulates=False)
    run.step()
    sizes = run._writer.events.sizes
    return sum(sizes[abs(event)] * (1 if event > 0 else -1) for event in run._writer.events.order)


def test_a_result_holds_keys_and_values_too() -> None:
    """A loop that sums logits has a name for the result: those, and of 24 layers keys and values of 2 heads of 64."""
    held = _alive_after_a_step(Stack("plain", "sum")) - _alive_after_a_step(
        Stack("plain", "from-logits", result="loss")
    )
    assert held == LOGITS + 24 * 2 * 4 * 1024 * 2 * 64 * 2
