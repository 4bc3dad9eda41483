"""Every family generates as a command or a spec says it: with no gradients, no optimizer and no states."""

from __future__ import annotations

from dataclasses import replace

import pytest

from toolkit.facts.models import MODEL_IDS, ModelFacts, load_model
from toolkit.memory.estimate import estimate
from toolkit.memory.refusal import UnsupportedRow
from toolkit.spec.setting import Setting


def _smallest_of_each_type() -> dict[str, ModelFacts]:
    """A model of each type that is known by an id: the one with the shortest id."""
    found: dict[str, ModelFacts] = {}
    for name in sorted(MODEL_IDS, key=len):
        facts = load_model(name)
        assert isinstance(facts, ModelFacts)
        found.setdefault(str(facts.config.get("model_type")), facts)
    return found


def _bytes(setting: Setting, facts: ModelFacts) -> list[tuple[str, str, int]]:
    return [
        (phase.name.value, row.name, row.bytes)
        for phase in estimate(setting, facts).ledger.phases
        for row in phase.rows
    ]


ENCODERS = ("albert", "deberta-v2", "distilbert", "modernbert", "mpnet")
"""Families of which transformers has no class that generates."""

FAMILIES = _smallest_of_each_type()


@pytest.mark.parametrize("kind", sorted(FAMILIES))
def test_no_gradients_change_nothing_that_has_none(kind: str) -> None:
    facts = FAMILIES[kind]
    setting = Setting(facts.id, "inference", "bf16", batch_size=2, sequence_length=128, generated_length=16)
    if kind in ENCODERS:
        setting = replace(setting, head="masked-lm", generated_length=0)
    none = replace(setting, gradients="none", optimizer="none", optimizer_states="none")
    try:
        expected = _bytes(setting, facts)
    except UnsupportedRow as refused:
        with pytest.raises(UnsupportedRow) as again:
            _bytes(none, facts)
        assert str(again.value) == str(refused)
        return
    assert _bytes(none, facts) == expected


def test_nearly_every_type_generates() -> None:
    """Else the test above would compare refusals alone."""
    assert {"llama", "qwen3_5", "lfm2", "granitemoehybrid", "nemotron_h", "t5", "gemma3", "gpt_oss"} <= set(FAMILIES)
