"""Totals of an estimate are those of its ledger, whose rows are made when somebody asks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.estimate import Estimate, estimate, on_gpu
from toolkit.memory.ledger import Category
from toolkit.spec.settings.setting import Setting

SETTINGS = {
    "training": Setting(
        "HuggingFaceTB/SmolLM2-135M", "full", "bf16", batch_size=4, gradient_checkpointing="reentrant", gpu="A100 80GB"
    ),
    "inference": Setting(
        "HuggingFaceTB/SmolLM2-135M",
        "inference",
        "bf16",
        gradients="none",
        optimizer="none",
        optimizer_states="none",
        generated_length=64,
        gpu="A100 80GB",
    ),
}


@pytest.fixture(params=SETTINGS)
def found(request: pytest.FixtureRequest) -> Estimate:
    setting = SETTINGS[request.param]
    facts = load_model(setting.model, base=Path())
    assert isinstance(facts, ModelFacts)
    return estimate(setting, facts)


def test_totals_are_those_of_the_ledger(found: Estimate) -> None:
    assert found.allocated == found.ledger.peak.total
    assert found.steady == found.ledger.steady
    assert found.peak.name is found.ledger.peak.name
    for sizes, phase in zip(found.phases, found.ledger.phases, strict=True):
        assert (sizes.name, sizes.moment, sizes.total) == (phase.name, phase.moment, phase.total)
        assert all(sizes.of(category) == phase.of(category) for category in Category)


def test_another_gpu_has_its_own_workspaces_and_is_named_in_their_rows(found: Estimate) -> None:
    facts = load_model(found.setting.model, base=Path())
    assert isinstance(facts, ModelFacts)
    moved = replace(found.setting, gpu="H100 80GB")
    elsewhere = on_gpu(found, moved)
    assert elsewhere == estimate(moved, facts)
    assert elsewhere.ledger.phases[-1].of(Category.WORKSPACE) % (32 << 20) == 0
    [named] = {
        row.inputs["gpu"]
        for phase in elsewhere.ledger.phases
        for row in phase.rows
        if row.category is Category.WORKSPACE
    }
    assert named == "H100 80GB"
