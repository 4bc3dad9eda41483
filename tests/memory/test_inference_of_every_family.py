"""Every family generates as a command or a spec says it: with no gradients, no optimizer and no states."""

from __future__ import annotations

from dataclasses import replace

import pytest

from toolkit.facts.models import MODEL_IDS, ModelFacts, load_model
from toolkit.memory.estimate import estimate
from toolkit.memory.refusal import UnsupportedRow
from toolkit.spec.settings.setting import Setting


def _smallest_of_each_type() -> dict[str, ModelFacts]:
    """A model of each type that is known by an id: the one with the shortest id."""
    found: dict[str, ModelFacts] = {}
    for name in sorted(MODEL_IDS, key=len):
        facts = load_model(name)
        assert isinstance(facts, ModelFacts)
        found.setdefault(str(facts.config.get("model_type")), facts)
    return found


def _said(setting: Setting, facts: ModelFacts) -> list[tuple[str, str, int]] | str:
    """The bytes of every row, or why there are none."""
    try:
        phases = estimate(setting, facts).ledger.phases
    except UnsupportedRow as refused:
        return str(refused)
    return [(phase.name.value, row.name, row.bytes) for phase in phases for row in phase.rows]


ENCODERS = ("albert", "deberta", "deberta-v2", "distilbert", "modernbert", "mpnet")
"""Families of which transformers has no class that generates."""

FAMILIES = _smallest_of_each_type()


@pytest.mark.parametrize("kind", sorted(FAMILIES))
def test_no_gradients_change_nothing_that_has_none(kind: str) -> None:
    facts = FAMILIES[kind]
    setting = Setting(facts.id, "inference", "bf16", batch_size=2, sequence_length=128, generated_length=16)
    if kind in ENCODERS:
        setting = replace(setting, head="masked-lm", generated_length=0)
    none = replace(setting, gradients="none", optimizer="none", optimizer_states="none")
    assert _said(none, facts) == _said(setting, facts)


@pytest.mark.parametrize("kind", ["llama", "qwen3_5", "lfm2", "granitemoehybrid", "nemotron_h", "t5", "gpt_oss"])
def test_it_is_no_refusal_that_is_the_same(kind: str) -> None:
    facts = FAMILIES[kind]
    assert isinstance(_said(Setting(facts.id, "inference", "bf16", sequence_length=128), facts), list)
