"""Traces against published readings of GPUs, and formulas against traces."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")

from tests.memory.settings import facts_of, name_of, records, setting_of
from tests.memory.whole_blocks import as_traced
from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.estimate import estimate
from toolkit.memory.ledger import Category, PhaseName
from toolkit.memory.trace.trace import UnsupportedTrace, trace
from toolkit.spec.settings.setting import Lora, Setting, Stack

pytestmark = pytest.mark.reference

READ = 0.005
"""What a trace may differ from a reading made with other versions of the libraries."""
COMPUTED = 0.0005

ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
LORA = Lora(16, 16, ATTENTION)
TRAINING: dict[str, dict[str, Any]] = {
    "full, autocast, checkpointed": {
        "method": "full", "weights": "fp32", "amp": True, "gradients": "fp32", "optimizer_states": "fp32",
        "gradient_checkpointing": "non-reentrant",
    },
    "full, 16 bit, foreach": {"method": "full", "weights": "bf16", "optimizer_implementation": "foreach"},
    "full, float32, eager": {
        "method": "full", "weights": "fp32", "compute": "fp32", "gradients": "fp32", "optimizer_states": "fp32",
        "attention": "eager",
    },
    "lora, accumulated, reentrant": {
        "method": "lora", "weights": "bf16", "amp": True, "gradients": "fp32", "optimizer_states": "fp32", "lora": LORA,
        "gradient_checkpointing": "reentrant", "gradient_accumulation": 4,
    },
    "qlora, nested, dropout": {
        "method": "qlora", "weights": "nf4", "amp": True, "gradients": "fp32", "optimizer_states": "fp32",
        "lora": Lora(8, 16, "all-linear", 0.05), "double_quant": True,
    },
    "inference": {"method": "inference", "weights": "bf16", "generated_length": 3},
    "inference in 4 bit": {"method": "inference", "weights": "nf4", "generated_length": 3, "batch_size": 8},
}  # fmt: skip


def facts(name: str) -> ModelFacts:
    found = load_model(name)
    assert isinstance(found, ModelFacts)
    return found


@pytest.mark.parametrize("fields", TRAINING.values(), ids=TRAINING)
def test_the_formulas_give_what_the_trace_sees(fields: dict[str, Any]) -> None:
    setting = Setting(**{"model": "Qwen/Qwen2.5-0.5B", "batch_size": 2, "sequence_length": 512, **fields})
    model = facts(setting.model)
    seen, computed = trace(setting, model), estimate(setting, model)
    for phase in seen.ledger.phases:
        other = computed.ledger.phase(phase.name)
        assert other is not None
        assert as_traced(other) == pytest.approx(phase.total, rel=COMPUTED), phase.name
    for kind in (Category.WEIGHTS, Category.ADAPTERS):
        ours, theirs = (ledger.phases[-1].of(kind) for ledger in (computed.ledger, seen.ledger))
        assert ours == pytest.approx(theirs, rel=COMPUTED), kind
    low, high = computed.reserved
    assert low * (1 - COMPUTED) <= seen.reserved[0]
    assert seen.reserved[1] <= high


FULL = [
    record
    for record in records("published")
    if record["setting"]["method"] == "full" and record["setting"]["stack"]["versions"]["transformers"] >= "4.45"
]
"""transformers before 4.45 kept rotary caches in every layer."""


@pytest.mark.slow
@pytest.mark.parametrize("record", FULL[-1:], ids=name_of)
def test_a_trace_needs_what_was_read_on_an_a100(record: dict[str, Any]) -> None:
    """Full fine-tuning peaks in the optimizer, which other versions of transformers do not move."""
    found = trace(setting_of(record), facts_of(record))
    assert found.ledger.peak.name is PhaseName.OPTIMIZER_STEP
    assert found.allocated == pytest.approx(record["allocated"], rel=READ)


def test_the_optimizer_step_of_foreach_holds_a_copy_of_the_states() -> None:
    """Weights 2, gradients 2, two states 4 and square roots 2 bytes a parameter: 10 (torch/optim/adamw.py)."""
    setting = Setting(
        "Qwen/Qwen2.5-0.5B", "full", "bf16", batch_size=1, sequence_length=16, optimizer_implementation="foreach"
    )
    step = trace(setting, facts(setting.model)).ledger.phase(PhaseName.OPTIMIZER_STEP)
    assert step is not None
    parameters = 494_032_768
    assert step.total - step.of(Category.WORKSPACE) == pytest.approx(10 * parameters, rel=0.001)
    assert step.of(Category.TEMPORARY) == pytest.approx(2 * parameters, rel=0.001)


def test_the_peak_names_the_operation_at_which_it_is() -> None:
    setting = Setting("Qwen/Qwen2.5-0.5B", "full", "bf16", batch_size=1, sequence_length=16)
    ledger = trace(setting, facts(setting.model)).ledger
    backward = ledger.phase(PhaseName.BACKWARD)
    assert backward is not None
    assert backward.moment == "aten::add.Tensor (backward) in model.embed_tokens"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"stack": Stack("vllm")}, "vllm is not traced"),
        ({"weights": "awq-int4"}, "awq-int4 weights are not traced"),
        ({"method": "full", "master_weights": "fp32"}, "master weights"),
        ({"method": "full", "optimizer_states": "fp32"}, "fp32 states of bf16 parameters"),
        ({"method": "full", "gradients": "fp32"}, "fp32 gradients of bf16 parameters"),
    ],
)
def test_what_is_not_covered_is_refused_by_name(fields: dict[str, Any], reason: str) -> None:
    setting = Setting(**{"model": "Qwen/Qwen2.5-0.5B", "method": "inference", "weights": "bf16", **fields})
    with pytest.raises(UnsupportedTrace, match=reason):
        trace(setting, facts(setting.model))
