"""Objectives on pairs without a reference, and on single answers: rows by hand, and what is refused by name."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.memory.trace.cut import cut
from toolkit.facts.models import ModelFacts, load_model
from toolkit.finding import Place
from toolkit.memory.estimate import estimate
from toolkit.memory.ledger import PhaseName
from toolkit.memory.refusal import UnsupportedRow
from toolkit.spec.fields.value import Atom, Field, Fixed
from toolkit.spec.scenario import Scenario
from toolkit.spec.settings.decide import decide
from toolkit.spec.settings.setting import Lora, Setting, Stack
from toolkit.spec.settings.stack_rules import losses

SMALL, WORDS = "HuggingFaceTB/SmolLM2-135M", 49_152
TOKENS = 2 * 2 * 128
PAIRS = Setting(
    SMALL, "full", "bf16", objective="simpo", batch_size=2, sequence_length=128, stack=Stack("trl", "cross-entropy"),
    amp=True,
)  # fmt: skip
SINGLE = replace(PAIRS, objective="kto", reference="precomputed", stack=Stack("trl", "chunked"))


def rows(setting: Setting, phase: PhaseName) -> dict[str, int]:
    facts = load_model(setting.model)
    assert isinstance(facts, ModelFacts)
    found = estimate(setting, facts).ledger.phase(phase)
    assert found is not None
    return {row.name: row.bytes for row in found.rows}


def test_the_logits_of_both_answers_are_there_in_float32_with_a_gradient_of_their_size() -> None:
    """Two pairs of 128 tokens, 49,152 words, 4 bytes; beside the gradient that of a token's logarithm."""
    found = rows(PAIRS, PhaseName.BACKWARD)
    assert found["logits_float32"] == TOKENS * WORDS * 4
    assert found["logits_gradient"] == TOKENS * WORDS * 4 + TOKENS * 4


@pytest.mark.parametrize("objective", ["orpo", "cpo"])
def test_the_next_token_of_the_preferred_answers_takes_logarithms_of_half_of_them(objective: str) -> None:
    alone = rows(PAIRS, PhaseName.BACKWARD)["log_probabilities"]
    found = rows(replace(PAIRS, objective=objective), PhaseName.BACKWARD)["log_probabilities"]
    assert found - alone == TOKENS // 2 * WORDS * 4


def test_kto_has_as_many_sequences_as_its_batch_and_dpo_twice_as_many() -> None:
    """Three more columns of 8 bytes, for the answers of other prompts: tokens, mask, and which are the answer's."""
    single, pair = (rows(replace(SINGLE, objective=one), PhaseName.FORWARD_END) for one in ("kto", "dpo"))
    twice = rows(replace(SINGLE, batch_size=4), PhaseName.FORWARD_END)
    assert twice.pop("token_ids") - pair.pop("token_ids") == 4 * 128 * 3 * 8
    assert twice == pair
    assert sum(single.values()) < sum(pair.values())


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (replace(PAIRS, stack=Stack("trl", "chunked")), "trl 1.8 or newer"),
        (replace(PAIRS, stack=Stack("trl", "cross-entropy", {"trl": "1.7"})), "trl 1.8 or newer"),
        (replace(PAIRS, stack=Stack("transformers")), "TRL's trainers"),
        (replace(PAIRS, method="qlora", weights="nf4", lora=Lora(8)), "casts packed ones otherwise"),
        (replace(PAIRS, objective="reward"), "one label"),
        (replace(PAIRS, objective="reward", head="sequence-classification", labels=2), "one label"),
        (replace(PAIRS, model="openai-community/gpt2"), "without dropout"),
    ],
)
def test_what_has_no_formula_is_refused_by_name(changed: Setting, said: str) -> None:
    with pytest.raises(UnsupportedRow, match=said):
        rows(changed, PhaseName.LOAD)


@pytest.mark.parametrize(
    ("objective", "method", "reference"),
    [("kto", "full", "model"), ("kto", "lora", "adapters-off"), ("orpo", "full", None), ("reward", "lora", None)],
)
def test_an_objective_has_the_reference_of_its_trainer(objective: str, method: str, reference: str | None) -> None:
    said: dict[str, Atom] = {"model": SMALL, "method": method, "objective": objective, "stack.trainer": "trl"}
    place = Place("scenario.yaml")
    scenario = Scenario("one", place, {name: Field(Fixed(value), place) for name, value in said.items()})
    setting = decide(scenario, {})
    assert (setting.objective, setting.reference) == (objective, reference)


@pytest.mark.parametrize(
    ("objective", "trl", "loss"),
    [
        ("kto", None, "chunked"), ("dpo", "1.16", "chunked"), ("dpo", "0.9", "cross-entropy"),
        ("dpo", "1.14", "cross-entropy"),
        ("orpo", "1.16", "cross-entropy"), ("reward", "1.16", "cross-entropy"), ("next-token", "1.16", "chunked"),
    ],
)  # fmt: skip
def test_an_objective_has_the_loss_of_its_trainer(objective: str, trl: str | None, loss: str) -> None:
    assert losses("trl", {"trl": trl} if trl else {}, objective) == (loss,)


OLDER = Stack("trl", "cross-entropy", {"trl": "1.8.0"})
"""Before a kernel, and before tiles: the trl that axolotl 0.19 pins."""
LAYERS = Setting(
    "Qwen/Qwen2.5-0.5B", "full", "bf16", objective="dpo", reference="model", batch_size=2, sequence_length=512,
    stack=OLDER,
)  # fmt: skip
MIXED = replace(
    LAYERS, method="lora", reference="adapters-off", lora=Lora(8, 16), amp=True, gradients="fp32",
    optimizer_states="fp32",
)  # fmt: skip
CHECKPOINTED = replace(MIXED, gradient_checkpointing="non-reentrant")


@pytest.mark.parametrize(
    ("setting", "peak"),
    [
        (LAYERS, 4_435_259_904),
        (replace(LAYERS, reference="precomputed"), 3_451_175_936),
        (replace(LAYERS, batch_size=1, gradient_checkpointing="non-reentrant"), 2_837_220_352),
        (CHECKPOINTED, 4_368_929_280),
        (replace(MIXED, batch_size=4), 8_834_121_216),
        (replace(LAYERS, objective="orpo", reference=None), 3_025_687_552),
        (replace(LAYERS, objective="simpo", reference=None, batch_size=1), 2_008_597_504),
        (replace(CHECKPOINTED, objective="orpo", reference=None), 4_754_169_344),
        (replace(CHECKPOINTED, objective="simpo", reference=None), 4_133_046_272),
    ],
)
def test_before_tiles_all_logits_were_there(setting: Setting, peak: int) -> None:
    """Traces of DPOTrainer, ORPOTrainer and CPOTrainer of trl 1.8.0 itself, with the model's first three layers."""
    assert estimate(setting, cut(setting.model, 3)).allocated == pytest.approx(peak, rel=0.002)
