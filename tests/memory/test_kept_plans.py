"""What is kept for a model is never given to another that comes to stand at its address."""

from __future__ import annotations

import pytest

from toolkit.facts.models import ModelFacts, load_model, model_from_config
from toolkit.memory.architecture import Architecture, architecture_of, registry
from toolkit.memory.parallel.plan import plan
from toolkit.spec.settings.setting import Setting

SETTING = Setting("any", "inference", "fp32", compute="fp32", optimizer="none")


def one_layer(facts: ModelFacts, width: int) -> Architecture:
    config = {**facts.config, "num_hidden_layers": 1, "intermediate_size": width}
    return architecture_of(model_from_config(config, "narrow"))


def test_models_that_come_and_go_have_their_own_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "MAX_CACHED", 1)  # so that architectures go, as beyond many models they do
    facts = load_model("HuggingFaceTB/SmolLM2-135M")
    assert isinstance(facts, ModelFacts)
    for width in range(64, 64 * 401, 64):
        # An embedding (tied), two projections of 576 and two of 192 columns, three of the feed-forward, three norms.
        by_hand = 49152 * 576 + 2 * 576 * 576 + 2 * 192 * 576 + 3 * 576 * width + 3 * 576
        assert plan(one_layer(facts, width), SETTING).sums.parameters == by_hand
