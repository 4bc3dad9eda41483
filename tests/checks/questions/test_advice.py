"""Changes that are advised: only those that apply, the one that saves most first."""

import pytest

from tests.checks.questions.asked import BASE, answered, decided, scenario
from toolkit.checks.questions.advice import REMEDIES, Advice, advise, words
from toolkit.checks.questions.comparison import changed_scenario, compare
from toolkit.cli.field_flags import written
from toolkit.spec.check import scenario_findings
from toolkit.spec.fields.registry import FIELDS
from toolkit.spec.load import fields_from_flags
from toolkit.spec.look_up import LookUp
from toolkit.spec.scenario import Scenario

SCENARIOS = [
    decided(),
    decided(weights="fp32", amp="true", attention="eager"),
    decided(gradient_checkpointing="true", optimizer="adamw_8bit", optimizer_implementation=""),
    scenario(model="Qwen/Qwen2.5-0.5B", method="lora", weights="bf16", lora__rank="16"),
    scenario(model="Qwen/Qwen2.5-0.5B", method="qlora", double_quant="false"),
    scenario(model="Qwen/Qwen2.5-0.5B", method="inference", weights="bf16"),
    scenario(model="google-bert/bert-base-uncased", method="full", head="sequence-classification", batch_size="8"),
    scenario(model="google-bert/bert-base-uncased", method="full", head="sequence-classification", padding="true"),
]


def advice_for(one: Scenario) -> list[Advice]:
    return advise(answered(one), BASE)


def changes(one: Scenario) -> list[str]:
    return [words(advice.remedy.fields) for advice in advice_for(one)]


@pytest.mark.parametrize("one", SCENARIOS, ids=range(len(SCENARIOS)))
def test_the_one_that_saves_most_is_first(one: Scenario) -> None:
    found = [advice.comparison.peak.difference for advice in advice_for(one)]
    assert found
    assert found == sorted(found)


@pytest.mark.parametrize("one", SCENARIOS, ids=range(len(SCENARIOS)))
def test_only_what_is_admissible_is_advised(one: Scenario) -> None:
    for advice in advice_for(one):
        assert scenario_findings(advice.comparison.after.scenario, LookUp(BASE), narrows=False) == []


def test_what_is_done_already_is_not_advised() -> None:
    found = changes(decided(gradient_checkpointing="true", attention="sdpa", batch_size="1", amp="true"))
    assert not [one for one in found if one.startswith(("gradient_checkpointing", "attention", "batch_size", "amp"))]


def test_padded_rows_are_advised_to_be_packed() -> None:
    filled, full = (changes(decided(padding=said)) for said in ("true", "false"))
    assert [one for one in filled if one.startswith("padding=")]
    assert not [one for one in full if one.startswith("padding=")]


def test_inference_is_not_told_how_to_train() -> None:
    found = changes(scenario(model="Qwen/Qwen2.5-0.5B", method="inference", weights="bf16"))
    assert "weights=nf4" in found
    assert not [one for one in found if "optimizer" in one or "checkpointing" in one or "lora" in one or "loss" in one]


def test_a_model_without_logits_of_words_gets_no_loss_for_them() -> None:
    one = scenario(model="google-bert/bert-base-uncased", method="full", head="sequence-classification")
    assert not [change for change in changes(one) if "stack.loss" in change]


def test_every_change_is_one_that_compare_takes() -> None:
    for remedy in REMEDIES:
        assert remedy.costs
        assert set(remedy.fields) <= set(FIELDS)
        assert words(remedy.fields)


@pytest.mark.parametrize("one", SCENARIOS, ids=range(len(SCENARIOS)))
def test_the_words_of_a_change_say_all_of_it(one: Scenario) -> None:
    before = answered(one)
    for advice in advise(before, BASE):
        said = {name: written(name, text) for name, text in split(advice)}
        fields, findings = fields_from_flags(said)
        assert fields is not None, findings
        again = compare(before, changed_scenario(one, fields), "", BASE)
        assert again is not None
        assert again.peak == advice.comparison.peak


def split(advice: Advice) -> list[tuple[str, str]]:
    """The fields of a change and their values, as they are written."""
    parts = (part.partition("=") for part in words(advice.remedy.fields).split(","))
    return [(name, text) for name, _, text in parts]


def test_what_leaves_the_training_as_it_is_is_offered_together() -> None:
    found = advice_for(decided(weights="fp32", attention="eager", sequence_length="1024"))
    (together,) = [advice for advice in found if advice.remedy.costs == "all of these"]
    parts = [advice for advice in found if advice.remedy.fields.items() < together.remedy.fields.items()]
    assert len(parts) > 1
    assert together.comparison.peak.after <= min(part.comparison.peak.after for part in parts)
    assert not together.remedy.fields.keys() & {"method", "weights", "batch_size"}
