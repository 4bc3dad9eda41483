"""What formulas replay against what traces of the real code replay."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")
pytest.importorskip("bitsandbytes")

from tests.memory.trace.cut import cut
from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.estimate import estimate
from toolkit.memory.replay.events import Events
from toolkit.memory.replay.generation import generation_events
from toolkit.memory.replay.orders import reserved
from toolkit.memory.replay.reserved import replayed
from toolkit.memory.replay.training import Run
from toolkit.memory.tape.recording import programs_of
from toolkit.memory.trace.trace import trace
from toolkit.spec.settings.setting import Lora, Setting

pytestmark = pytest.mark.reference

CLOSE = 0.01
"""How far a trace's replay may lie outside the interval of a formula's, as a share."""

MIXED = {"amp": True, "gradients": "fp32", "optimizer_states": "fp32"}
LORA = {"lora": Lora(16, 32, ("q_proj", "k_proj", "v_proj", "o_proj")), **MIXED}
REENTRANT = {"gradient_checkpointing": "reentrant"}
QWEN, MISTRAL, LLAMA = "Qwen/Qwen2.5-0.5B", "mistralai/Mistral-7B-v0.1", "meta-llama/Llama-2-7b-hf"
FORMS: dict[str, dict[str, Any]] = {
    "full": {"method": "full", "weights": "bf16"},
    "full under autocast": {"method": "full", "weights": "fp32", **MIXED},
    "lora": {"method": "lora", "weights": "bf16", **LORA},
    "qlora": {"method": "qlora", "weights": "nf4", **LORA},
}
CASES: dict[str, tuple[str, int, int, dict[str, Any]]] = {
    "full, 0.5B": (QWEN, 2, 512, FORMS["full"]),
    "full under autocast, 0.5B": (QWEN, 2, 512, FORMS["full under autocast"]),
    "lora, 0.5B": (QWEN, 2, 512, FORMS["lora"]),
    "full, 7B, checkpoints": (MISTRAL, 4, 4096, {**FORMS["full"], **REENTRANT, "attention": "flash"}),
    "lora, 7B, checkpoints": (MISTRAL, 4, 4096, {**FORMS["lora"], **REENTRANT, "attention": "flash"}),
    "qlora, 7B, checkpoints": (MISTRAL, 4, 4096, {**FORMS["qlora"], **REENTRANT, "attention": "flash"}),
    "qlora, 7B": (LLAMA, 1, 1024, FORMS["qlora"]),
    "a prompt, 7B": (LLAMA, 1, 4096, {"method": "inference", "weights": "nf4", "generated_length": 1}),
    "a cache that grows": (LLAMA, 4, 1024, {"method": "inference", "weights": "bf16", "generated_length": 12}),
}


@pytest.mark.parametrize("grows", [False, True], ids=["segments", "expandable segments"])
@pytest.mark.parametrize(("model", "batch", "sequence", "fields"), CASES.values(), ids=CASES)
def test_a_formula_reserves_what_the_trace_does(
    model: str, batch: int, sequence: int, fields: dict[str, Any], *, grows: bool
) -> None:
    facts = load_model(model)
    assert isinstance(facts, ModelFacts)
    setting = Setting(model, batch_size=batch, sequence_length=sequence, expandable_segments=grows, **fields)
    seen = trace(setting, facts).reserved
    low, high = replayed(estimate(setting, facts))
    assert low * (1 - CLOSE) <= seen[0]
    assert seen[1] <= high * (1 + CLOSE)


BY_NAME: dict[str, tuple[str, int, dict[str, Any]]] = {
    "what both tables leave is one block": (
        "arcee-ai/AFM-4.5B-Base", 4,
        {"method": "lora", "weights": "int8", "lora": Lora(32, 16), "gradients": "fp32", "optimizer_states": "fp32",
         "sequence_length": 1024, "gpu": "RTX 4090"},
    ),
    "the workspace comes while a weight is unpacked": (
        "Qwen/Qwen2.5-7B-Instruct-1M", 4,
        {"method": "qlora", "weights": "nf4", "double_quant": True, "amp": True, "gradients": "fp32",
         "optimizer_states": "fp32", "optimizer_implementation": "foreach", "sequence_length": 1024,
         "gradient_accumulation": 4, "gradient_checkpointing": "reentrant", "padding": True, "gpu": "RTX 4090",
         "lora": Lora(32, 16, ("q_proj", "v_proj"))},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("name", "layers", "fields"), BY_NAME.values(), ids=BY_NAME)
def test_after_a_block_for_all_weights_as_much_is_reserved_as_traced(
    name: str, layers: int, fields: dict[str, Any]
) -> None:
    """Each was once 10 % more or less, for the reason that it names."""
    setting, facts = Setting(**{"model": name, "batch_size": 2, **fields}), cut(name, layers)
    context = estimate(setting, facts).context
    assert context is not None
    found = reserved(Run(context, programs_of(context)).events(), warms=True, swaps=False)
    seen = trace(setting, facts, whole=True).reserved
    assert found == pytest.approx(seen, rel=0.002)


AGAIN = {"gradient_checkpointing": "non-reentrant", "gradient_accumulation": 4}
IN_ORDER: dict[str, tuple[str, int, dict[str, Any]]] = {
    "the gradient of a tied output weight waits for the embedding's": (
        "google/gemma-3-1b-pt", 2, {**FORMS["full"], **AGAIN, "batch_size": 16, "sequence_length": 17},
    ),
    "Adafactor updates one parameter after the other": (
        "microsoft/Phi-4-mini-instruct", 3,
        {**FORMS["full under autocast"], "amp": False, "compute": "fp32", "optimizer": "adafactor"},
    ),
    "states of 8 bit have their scales apart": (
        "Qwen/Qwen2.5-14B-Instruct-1M", 2,
        {**FORMS["full under autocast"], **AGAIN, "optimizer": "adamw_8bit", "optimizer_states": "int8"},
    ),
    "what a product of 8 bit takes comes one after the other": (
        "stabilityai/stablelm-tuned-alpha-3b", 4,
        {"method": "inference", "weights": "int8", "compute": "fp16", "batch_size": 8, "sequence_length": 1536},
    ),
}  # fmt: skip


def _begun_as_stored(events: Events) -> Events:
    """The same without what is there only while the model is loaded: a trace begins with weights as they are stored."""
    loading, passes = events.order[: events.loaded], events.order[events.loaded :]
    gone = {-event for event in loading if event < 0}
    left = [event for event in loading if abs(event) not in gone]
    return Events(events.sizes, [*left, *passes], loaded=len(left))


@pytest.mark.parametrize(("name", "layers", "fields"), IN_ORDER.values(), ids=IN_ORDER)
def test_the_order_of_a_formula_reserves_what_that_of_the_code_does(
    name: str, layers: int, fields: dict[str, Any]
) -> None:
    """Each was once 5 to 40 % more or less, for the reason that it names."""
    setting, facts = Setting(**{"model": name, "batch_size": 2, "sequence_length": 64, **fields}), cut(name, layers)
    context = estimate(setting, facts).context
    assert context is not None
    programs = programs_of(context)
    events = Run(context, programs).events() if setting.trains else generation_events(context, programs)
    low, high = reserved(_begun_as_stored(events), swaps=False)
    assert low == high == pytest.approx(trace(setting, facts, whole=True).reserved[0], rel=0.002)
