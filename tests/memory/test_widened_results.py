"""What accelerate makes of a model's result under autocast, against its own function run on tensors without storage."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")

from toolkit.facts.models import ModelFacts, load_model, model_from_config
from toolkit.memory.context import Context
from toolkit.memory.estimate import estimate
from toolkit.memory.replay.training import STEPS, Run
from toolkit.memory.tape.recording import programs_of
from toolkit.memory.trace.trace import trace
from toolkit.spec.settings.setting import Lora, Setting, Stack

pytestmark = pytest.mark.reference

TOKENS, VOCABULARY = 2 * 256, 10_000
WIDE = TOKENS * VOCABULARY * 4
MIXED = Setting(
    "Qwen/Qwen2.5-0.5B", "lora", "bf16", amp=True, batch_size=2, sequence_length=256, lora=Lora(8, 16, ("q_proj",)),
    gradients="fp32", optimizer_states="fp32", optimizer_implementation="fused",
)  # fmt: skip


def small() -> ModelFacts:
    facts = load_model(MIXED.model)
    assert isinstance(facts, ModelFacts)
    return model_from_config({**facts.config, "num_hidden_layers": 2, "vocab_size": VOCABULARY}, MIXED.model)


def traced(setting: Setting) -> int:
    """How many tensors of the size of float32 logits the code of a step makes."""
    seen = trace(setting, small(), whole=True).timeline.allocations
    return sum(one.bytes == WIDE for one in seen) // STEPS


def written(setting: Setting) -> int:
    """How many a formula's events have."""
    context = estimate(setting, small()).context
    assert isinstance(context, Context)
    return Run(context, programs_of(context)).events().sizes.count(WIDE) // STEPS


def test_a_trainer_makes_the_logits_that_a_model_gives_float32_once_more() -> None:
    loop = replace(MIXED, stack=replace(MIXED.stack, trainer="plain"))
    assert (traced(loop), written(loop)) == (4, 4)  # the loss's copy, its logarithms, and two gradients
    assert (traced(MIXED), written(MIXED)) == (5, 5)


def test_logits_that_are_float32_already_are_not_copied() -> None:
    """As transformers gave them before 4.45 (test_older_releases), and without autocast."""
    early = replace(MIXED, stack=Stack(versions={"transformers": "4.41.0"}))
    assert written(early) == written(replace(early, stack=replace(early.stack, trainer="plain")))
    plain = replace(MIXED, amp=False)
    assert written(plain) == written(replace(plain, stack=replace(plain.stack, trainer="plain")))
