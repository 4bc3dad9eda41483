"""Every block of more than 1 MiB that a pass and its backward ask for and let go of, in the order of traced code."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")

from tests.memory.replay.noted import NotedRun
from tests.memory.trace.cut import cut
from toolkit.memory.context import Context
from toolkit.memory.estimate import estimate
from toolkit.memory.ledger import PhaseName
from toolkit.memory.replay.events import Events
from toolkit.memory.replay.training import Run
from toolkit.memory.tape.recording import programs_of
from toolkit.memory.timeline.timeline import Timeline
from toolkit.memory.trace.trace import trace
from toolkit.spec.settings.setting import Lora, Peft, Setting, Stack

pytestmark = pytest.mark.reference

LARGE = 1 << 20
"""Blocks up to here have a pool of their own, in which their order moves little."""
LEFT_OUT = 1 << 18
"""Bytes of tensors of a few numbers per token by which a formula's block may differ."""

MISTRAL, QWEN, PHI = "mistralai/Mistral-7B-v0.1", "Qwen/Qwen3-0.6B", "microsoft/phi-2"
ADAPTED: dict[str, Any] = {"gradients": "fp32", "optimizer_states": "fp32"}
FULL: dict[str, Any] = {"method": "full"}
LORA: dict[str, Any] = {"method": "lora", "lora": Lora(8, 16, "all-linear", 0.05), **ADAPTED}
TRAINER = Stack("transformers")
QUANTIZED: dict[str, Any] = {
    **LORA, "method": "qlora", "weights": "nf4", "compute": "bf16", "amp": True, "gradient_checkpointing": "reentrant",
    "stack": TRAINER,
}  # fmt: skip
CLASSIFIER: dict[str, Any] = {
    **ADAPTED, "weights": "fp32", "amp": True, "compute": "fp16", "padding": True, "batch_size": 32,
    "sequence_length": 128, "head": "sequence-classification", "labels": 3, "stack": TRAINER,
}  # fmt: skip
ADALORA: dict[str, Any] = {
    "method": "adalora", **ADAPTED,
    "peft": Peft(("dense", "fc1", "fc2", "k_proj", "q_proj", "v_proj"), 16, "fp32", (("dropout", 0.05),)),
}  # fmt: skip
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "Mistral": (MISTRAL, FULL),
    "Mistral, attention written out": (MISTRAL, {**FULL, "attention": "eager"}),
    "Mistral, checkpoints": (MISTRAL, {**FULL, "gradient_checkpointing": "reentrant", "attention": "flash"}),
    "Mistral, LoRA": (MISTRAL, LORA),
    "Qwen 2.5": ("Qwen/Qwen2.5-0.5B", FULL),
    "Qwen 2.5, LoRA": ("Qwen/Qwen2.5-0.5B", LORA),
    "Qwen 3: norms of each head": (QWEN, FULL),
    "Qwen 3, LoRA": (QWEN, LORA),
    "OLMo: heads once all are projected": ("allenai/OLMo-7B-hf", FULL),
    "OLMo 2: norms of all heads": ("allenai/OLMo-2-0325-32B-Instruct", FULL),
    "OLMoE": ("allenai/OLMoE-1B-7B-0924", FULL),
    "Phi-2: a turned part, biases": (PHI, FULL),
    "Phi-2, LoRA": (PHI, LORA),
    "Phi 3: slices of one projection": ("microsoft/Phi-3-mini-4k-instruct", FULL),
    "Pythia: chunks of one projection": ("EleutherAI/pythia-1.4b", FULL),
    "StableLM": ("stabilityai/stablelm-2-1_6b", FULL),
    "GLM": ("zai-org/glm-4-9b-chat-hf", FULL),
    "Cohere": ("CohereLabs/c4ai-command-r-v01", FULL),
    "Starcoder 2": ("bigcode/starcoder2-7b", FULL),
    "SmolLM 3": ("HuggingFaceTB/SmolLM3-3B", FULL),
    "ERNIE": ("baidu/ERNIE-4.5-0.3B-PT", FULL),
    "Falcon": ("tiiuae/falcon-7b", FULL),
    "BERT: from its embeddings, with a pooler": ("google-bert/bert-base-uncased", {**FULL, **CLASSIFIER}),
    "RoBERTa: from its embeddings": ("FacebookAI/roberta-base", {**FULL, **CLASSIFIER}),
    "DistilBERT": ("distilbert/distilbert-base-uncased", {**FULL, **CLASSIFIER}),
    "Mixtral": ("NousResearch/Nous-Hermes-2-Mixtral-8x7B-DPO", FULL),
}

BACK: dict[str, tuple[str, dict[str, Any]]] = {
    "Mistral, QLoRA": (MISTRAL, QUANTIZED),
    "Phi-2, AdaLoRA": (PHI, ADALORA),  # whose penalty has small tensors while the logits have a name
}

Change = tuple[bool, int]
"""Whether a block is asked for, and its bytes."""


@pytest.mark.parametrize(("model", "fields"), CASES.values(), ids=CASES)
def test_a_pass_and_its_backward_come_in_the_order_of_the_code(model: str, fields: dict[str, Any]) -> None:
    context, seen = _both(model, fields)
    events = Run(context, programs_of(context)).events()
    _compare(events, events.loaded, seen, PhaseName.FORWARD_END)


@pytest.mark.parametrize(("model", "fields"), BACK.values(), ids=BACK)
def test_a_backward_pass_comes_in_the_order_of_autograd(model: str, fields: dict[str, Any]) -> None:
    context, seen = _both(model, fields)
    run = NotedRun(context, programs_of(context))
    events = run.events()
    _compare(events, run.begins[0], seen, PhaseName.BACKWARD)


def _both(model: str, fields: dict[str, Any]) -> tuple[Context, Timeline]:
    """What a run's events follow from, and its trace; of two layers."""
    facts = cut(model, 2)
    setting = Setting(model, **{"weights": "bf16", "batch_size": 2, "sequence_length": 1024, "gpu": "L40S", **fields})
    context = estimate(setting, facts).context
    assert context is not None
    return context, trace(setting, facts, whole=True).timeline


def _compare(events: Events, begin: int, seen: Timeline, phase: PhaseName) -> None:
    """Events from one on, with those of a trace from the beginning of what ends a phase to the first step."""
    start, end = (next(event for event, each in seen.marks if each == one) for one in (phase, PhaseName.OPTIMIZER_STEP))
    sizes = [one.bytes for one in seen.allocations]
    expected = [*_large((event > 0, sizes[abs(event) - 1]) for event in seen.events[start:end])]
    found = [*_large((event > 0, events.sizes[abs(event)]) for event in events.order[begin:])]
    assert len(expected) > 150
    for number, (one, other) in enumerate(zip(found, expected, strict=False)):
        assert one[0] is other[0], number
        assert abs(one[1] - other[1]) <= LEFT_OUT, number


def _large(changes: Iterable[Change]) -> Iterator[Change]:
    """Large blocks; releases without an allocation between them largest first: their order moves nothing."""
    gone: list[Change] = []
    for change in changes:
        if change[0]:
            yield from sorted(gone, key=lambda one: -one[1])
            gone.clear()
        if change[1] > LARGE:
            if change[0]:
                yield change
            else:
                gone.append(change)
    yield from sorted(gone, key=lambda one: -one[1])
