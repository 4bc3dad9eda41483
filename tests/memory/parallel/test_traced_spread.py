"""Estimates of several GPUs against traces of the code that shares a model out, and runs it."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("accelerate")

from tests.memory.parallel.plans import skip_without_plans
from toolkit.facts.models import ModelFacts, load_model, model_from_config
from toolkit.memory.estimate import estimate
from toolkit.memory.ledger import Category, PhaseName
from toolkit.memory.trace.trace import trace
from toolkit.spec.settings.setting import Lora, Parallel, Setting, Stack

pytestmark = pytest.mark.reference

MODEL = "TinyLlama/TinyLlama-1.1B-Chat-v1.0"
POSITIONS, BIASED = "facebook/opt-1.3b", "microsoft/phi-2"
LAYERS = 4
FULL = Setting(
    MODEL,
    "full",
    "bf16",
    optimizer_implementation="fused",
    batch_size=1,
    sequence_length=64,
    gradient_checkpointing="non-reentrant",
    gpu="A100 80GB",
    stack=Stack("plain"),
)
TRAINER = replace(FULL, stack=Stack("transformers"))
MIXED = replace(TRAINER, amp=True)
KEPT = Parallel(8, "fsdp2", reshard_after_forward=False)
LONG = {"sequence_length": 1024, "gradient_checkpointing": "false"}
SHORT = {"sequence_length": 256, "gradient_checkpointing": "false"}
ADAPTED = replace(
    FULL,
    method="lora",
    lora=Lora(16, targets=("q_proj", "v_proj"), dtype="bf16"),
    gradients="bf16",
    optimizer_states="bf16",
)
ANSWER = Setting(MODEL, "inference", "bf16", batch_size=2, sequence_length=512, generated_length=8, gpu="A100 80GB")

SETTINGS = {
    "plain-2": replace(FULL, parallel=Parallel(2, "fsdp2")),
    "plain-4-long": replace(FULL, parallel=Parallel(4, "fsdp2"), **LONG),
    "plain-8-kept": replace(FULL, parallel=KEPT),
    "plain-8-mixed": replace(FULL, parallel=Parallel(8, "fsdp2"), amp=True),
    "plain-4-accumulated": replace(FULL, parallel=Parallel(4, "fsdp2"), gradient_accumulation=4),
    "plain-4-lora": replace(ADAPTED, parallel=Parallel(4, "fsdp2")),
    "trainer-2": replace(TRAINER, parallel=Parallel(2, "fsdp2")),
    "trainer-3": replace(TRAINER, parallel=Parallel(3, "fsdp2")),
    "trainer-4-long": replace(TRAINER, parallel=Parallel(4, "fsdp2"), **LONG),
    "trainer-8-kept": replace(TRAINER, parallel=KEPT),
    "trainer-8-mixed": replace(MIXED, parallel=Parallel(8, "fsdp2")),
    "tensor-2": replace(ANSWER, parallel=Parallel(2, "tensor")),
    "tensor-4": replace(ANSWER, parallel=Parallel(4, "tensor")),
}


OF_OTHERS = {
    "positions of their own, tied": (POSITIONS, replace(FULL, parallel=Parallel(4, "fsdp2"), **LONG)),
    "a head with a bias": (BIASED, replace(MIXED, parallel=Parallel(4, "fsdp2"), batch_size=2, **SHORT)),
    "no autocast beside a policy": (BIASED, replace(FULL, parallel=Parallel(2, "fsdp2"), amp=True, **LONG)),
    "adapters without checkpoints": (
        "mistralai/Mistral-7B-v0.1",
        replace(ADAPTED, parallel=Parallel(2, "fsdp2"), **LONG),
    ),
}


@pytest.mark.parametrize(("model", "setting"), OF_OTHERS.values(), ids=OF_OTHERS)
def test_other_families_are_shared_out_as_their_code_is(model: str, setting: Setting) -> None:
    agree(replace(setting, model=model))


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)
def test_the_peak_of_a_gpu_is_the_traced_one(setting: Setting) -> None:
    if setting.parallel.strategy == "tensor":
        skip_without_plans()
    agree(setting)


def agree(setting: Setting) -> None:
    whole = load_model(setting.model)
    assert isinstance(whole, ModelFacts)
    facts = model_from_config({**whole.config, "num_hidden_layers": LAYERS}, setting.model)
    read, found = trace(setting, facts, whole=True), estimate(setting, facts)
    assert found.allocated == pytest.approx(read.allocated, rel=0.001)
    for phase in read.ledger.phases:
        mine = next((one for one in found.phases if one.name == phase.name), None)
        # What is shared out is ready to train when it is traced: adapters are there, which a ledger has from then on.
        adapters = phase.of(Category.ADAPTERS) if phase.name is PhaseName.LOAD else 0
        if mine is not None:
            assert mine.total == pytest.approx(phase.total - adapters, rel=0.005), phase.name
