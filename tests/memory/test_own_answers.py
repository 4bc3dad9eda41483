"""GRPO whose model generates its answers itself: what is there between steps, by hand, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.estimate import Estimate, estimate
from toolkit.memory.ledger import Category, PhaseName
from toolkit.memory.refusal import UnsupportedRow
from toolkit.spec.settings.setting import Lora, Setting, Stack

QWEN = "Qwen/Qwen2.5-0.5B"
PARAMETERS = 494_032_768
REWARDED = Setting(
    QWEN, "full", "bf16", objective="grpo", batch_size=4, gradient_accumulation=8, sequence_length=1024,
    answer_length=512, attention="flash", gradient_checkpointing="non-reentrant", stack=Stack("trl", "chunked"),
)  # fmt: skip
"""Answers of 4 x 8 prompts of 512 tokens."""


def of(setting: Setting) -> Estimate:
    facts = load_model(setting.model)
    assert isinstance(facts, ModelFacts)
    return estimate(setting, facts)


def test_all_answers_of_a_step_have_their_keys_and_values_beside_the_states() -> None:
    """Qwen2.5-0.5B: 24 layers of 2 heads of 64, keys and values in 2 bytes; 1,024 tokens but the last of 32 answers."""
    decode = of(REWARDED).ledger.phase(PhaseName.DECODE)
    assert decode is not None
    each = 24 * 2 * 2 * 64 * 2
    assert decode.of(Category.KV_CACHE) == pytest.approx(32 * 1024 * each, rel=0.002)
    assert decode.of(Category.OPTIMIZER_STATES) == 2 * PARAMETERS * 2
    assert decode.of(Category.GRADIENTS) == 0


def test_the_phases_of_a_step_are_its_answers_and_its_passes() -> None:
    alone, both = of(replace(REWARDED, answer_length=0)), of(REWARDED)
    added = {phase.name: phase for phase in both.phases}
    assert list(added) == [
        PhaseName.LOAD, PhaseName.PREFILL, PhaseName.DECODE, PhaseName.FORWARD_END, PhaseName.BACKWARD,
        PhaseName.OPTIMIZER_STEP,
    ]  # fmt: skip
    assert all(added[phase.name] == phase for phase in alone.phases)


def test_the_peak_is_that_of_the_answers_where_these_are_many_and_of_a_pass_where_they_are_few() -> None:
    """The cache grows with the prompts of a step, and the fullest moment of a pass does not."""
    few, many = of(REWARDED), of(replace(REWARDED, gradient_accumulation=256))
    assert few.peak.name is PhaseName.BACKWARD
    assert many.peak.name in (PhaseName.PREFILL, PhaseName.DECODE)
    assert many.allocated == many.peak.total > few.allocated
    assert many.reserved[0] >= many.allocated


def test_adapters_train_and_answer_on_the_same_model() -> None:
    lora = replace(REWARDED, method="lora", lora=Lora(16), gradients="fp32", optimizer_states="fp32", amp=True)
    phases = {phase.name: phase for phase in of(lora).phases}
    assert phases[PhaseName.DECODE].of(Category.ADAPTERS) == phases[PhaseName.BACKWARD].of(Category.ADAPTERS)
    assert phases[PhaseName.DECODE].of(Category.WEIGHTS) == phases[PhaseName.LOAD].of(Category.WEIGHTS)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (replace(REWARDED, answer_length=1024), "no token for a prompt"),
        (replace(REWARDED, weights="fp32", amp=True, gradients="fp32", optimizer_states="fp32"), "float32 weights"),
    ],
)
def test_what_has_no_formula_is_refused_by_name(changed: Setting, said: str) -> None:
    with pytest.raises(UnsupportedRow, match=said):
        of(changed)
