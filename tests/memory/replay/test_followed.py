"""Training runs are followed once for all that say the same: what they say is all that they are written from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.estimate import estimate
from toolkit.memory.parallel.spread import Spread
from toolkit.memory.replay import followed, reserved
from toolkit.memory.replay.events import Events
from toolkit.memory.replay.followed import follow_run
from toolkit.memory.replay.orders import follow
from toolkit.memory.replay.reserved import replayed
from toolkit.memory.replay.sharded import sharded_runs
from toolkit.memory.replay.training import Run
from toolkit.memory.tape import recording
from toolkit.memory.tape.recording import programs_of
from toolkit.spec.settings.setting import Kernels, Lora, Parallel, Setting, Stack

MODEL = "HuggingFaceTB/SmolLM2-135M"
LORA = Lora(8, 16, ("q_proj", "v_proj"), 0.1)
MIXED = {"amp": True, "gradients": "fp32", "optimizer_states": "fp32"}
FORMS: dict[str, dict[str, Any]] = {
    "full": {"method": "full", "weights": "bf16"},
    "full in micro-batches": {"method": "full", "weights": "fp32", **MIXED, "gradient_accumulation": 4},
    "lora with checkpoints": {
        "method": "lora", "weights": "bf16", "lora": LORA, **MIXED, "gradient_checkpointing": "non-reentrant"
    },
    "qlora": {"method": "qlora", "weights": "nf4", "lora": LORA, **MIXED, "gradient_checkpointing": "reentrant"},
    "full under FSDP": {"method": "full", "weights": "fp32", "amp": True, "parallel": Parallel(2, "fsdp")},
    "lora under FSDP": {"method": "lora", "weights": "bf16", "lora": LORA, **MIXED, "parallel": Parallel(2, "fsdp")},
}  # fmt: skip
STACKS = {
    "no release": Stack(),
    "new": Stack(versions={"torch": "2.7.0", "transformers": "4.52.4", "peft": "0.15.2", "accelerate": "1.7.0"}),
    "older torch": Stack(
        versions={"torch": "2.3.1", "transformers": "4.52.4", "peft": "0.15.2", "accelerate": "1.7.0"}
    ),
    "torch that kept gradients": Stack(versions={"torch": "1.13.1", "transformers": "4.30.2", "accelerate": "0.20.3"}),
    "old": Stack(versions={"torch": "2.0.1", "transformers": "4.31.0", "peft": "0.4.0", "accelerate": "0.21.0"}),
    "a loop of one's own": Stack("plain", versions={"torch": "2.7.0", "transformers": "4.52.4"}),
    "with a name for the result": Stack("plain", versions={"torch": "2.7.0"}, result="next"),
}
SAID = frozenset({
    "course", "_writer", "_has_workspace", "_is_loaded", "_has_states", "_result",
    "_units", "_spread", "_cached", "_late", "_layer", "_caches", "_waiting",
})  # fmt: skip
"""What a run says, and what is empty or follows from that before its first pass."""


def _runs(stack: Stack, **fields: Any) -> Iterator[Run]:
    """Each kind of run of a setting, none of which is written yet."""
    facts = load_model(MODEL)
    assert isinstance(facts, ModelFacts)
    known = estimate(Setting(**{"model": MODEL, "batch_size": 2, "sequence_length": 256, **fields}, stack=stack), facts)
    context = known.context
    assert context is not None
    programs = programs_of(context)
    if isinstance(context.sharing, Spread):
        yield from sharded_runs(context, programs, context.sharing)
    else:
        yield Run(context, programs)
        yield Run(context, programs, holds=True)


def _written(events: Events) -> tuple[object, ...]:
    return events.sizes, events.order, events.loaded


@pytest.mark.parametrize("fields", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("stack", STACKS.values(), ids=STACKS)
def test_passes_and_steps_are_written_from_what_is_said(stack: Stack, fields: dict[str, Any]) -> None:
    """Without its setting, its model and whatever else it was made from, a run is the same from there on."""
    for whole, alone in zip(_runs(stack, **fields), _runs(stack, **fields), strict=True):
        assert alone.said() == whole.said()
        assert alone.course.scale is alone._writer.scale
        for name in vars(alone).keys() - SAID:
            delattr(alone, name)
        assert _written(alone.events()) == _written(whole.events())


@pytest.mark.parametrize("fields", FORMS.values(), ids=FORMS)
def test_runs_that_say_the_same_have_the_same_events(fields: dict[str, Any]) -> None:
    known: dict[object, tuple[object, ...]] = {}
    runs = [run for stack in STACKS.values() for run in _runs(stack, **fields)]
    for run in runs:
        said = run.said()
        events = _written(run.events())
        assert known.setdefault(said, events) == events
    assert 1 < len(known) < len(runs)  # some releases move a run, and some do not


def test_a_run_is_followed_once_however_many_say_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(followed, "_KNOWN", {})
    asked: list[Events] = []
    monkeypatch.setattr(followed, "follow", lambda events, **how: asked.append(events) or follow(events, **how))
    one, again, holding = (next(_runs(STACKS[name], **FORMS["full"])) for name in ("new", "older torch", "old"))
    expected = follow(next(_runs(STACKS["new"], **FORMS["full"])).events(), warms=True)
    assert follow_run(one, warms=True) == follow_run(again, warms=True) == expected
    assert len(asked) == 1
    follow_run(holding, warms=True)
    follow_run(next(_runs(STACKS["new"], **FORMS["full"])))  # the same run, loaded in another way
    assert len(asked) == 3


UNLIKE: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "order of GPTQ": ({"desc_act": False}, {"desc_act": True}),
    "kernel of GPTQ": ({"kernels": Kernels(gptq="exllama")}, {"kernels": Kernels(gptq="exllamav2")}),
    "length": ({"generated_length": 8}, {"generated_length": 2_000}),
    "release": ({}, {"stack": Stack(versions={"torch": "2.4.0", "transformers": "4.38.2"})}),
    "card": ({"gpu": "A100 40GB"}, {"gpu": "H100 80GB"}),
}


@pytest.mark.parametrize(("one", "other"), UNLIKE.values(), ids=UNLIKE)
def test_what_is_kept_of_one_run_is_not_taken_for_another(
    monkeypatch: pytest.MonkeyPatch, one: dict[str, Any], other: dict[str, Any]
) -> None:
    """Whichever is asked for first: two settings that differ in one field, each as if it were alone."""
    facts = load_model("TinyLlama/TinyLlama-1.1B-Chat-v1.0")
    assert isinstance(facts, ModelFacts)
    stack = Stack(versions={"torch": "2.4.0", "transformers": "4.47.1"})  # auto-gptq's kernels, whose buffers are known
    gptq = {"weights": "gptq-int4", "compute": "fp16", "kernels": Kernels(gptq="exllama"), "stack": stack}
    both = [estimate(Setting(facts.id, "inference", **{**gptq, **fields}), facts) for fields in (one, other)]
    alone = []
    for known in both:
        monkeypatch.setattr(reserved, "_KNOWN", {})
        alone.append(replayed(known))
    assert alone[0] != alone[1]
    for known, expected in (*zip(both, alone, strict=True), *zip(both[::-1], alone[::-1], strict=True)):
        assert replayed(known) == expected
    monkeypatch.setattr(reserved, "_KNOWN", {})
    assert [replayed(known) for known in both] == alone


@pytest.mark.parametrize("strategy", ["ddp", "fsdp", "fsdp2", "zero2", "zero3"])
def test_a_run_is_the_same_whatever_was_estimated_before(strategy: str) -> None:
    """Of a model that is shared out a GPU trains a part of the embedding, which no other run's programs may have."""
    facts = load_model(MODEL)
    assert isinstance(facts, ModelFacts)
    alone = Setting(MODEL, "full", "bf16", batch_size=3, sequence_length=200)
    shared = Setting(MODEL, "full", "bf16", batch_size=3, sequence_length=200, parallel=Parallel(2, strategy))
    for first, second in ((shared, alone), (alone, shared)):
        seen = []
        for before in (first, second):
            recording._PROGRAMS.clear()
            estimate(before, facts)
            context = estimate(second, facts).context
            assert context is not None
            seen.append((programs_of(context).embedding, programs_of(context).added))
        assert seen[0] == seen[1]
