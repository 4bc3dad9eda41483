"""Which models of the tables no formula follows, by name: a model that is followed stays so."""

from __future__ import annotations

import pytest

from toolkit.facts.models import MODEL_IDS, ModelFacts, load_model
from toolkit.memory.architecture import UnsupportedModel
from toolkit.memory.encoder_layouts import ENCODERS
from toolkit.memory.estimate import Estimate, estimate
from toolkit.memory.refusal import UnsupportedRow
from toolkit.spec.setting import Lora, Setting

MIXED = {"amp": True, "gradients": "fp32", "optimizer_states": "fp32"}
ALL_LINEAR = Lora(8, 16, "all-linear")
METHODS = {
    "inference": Setting("", "inference", "bf16", generated_length=8),
    "full": Setting("", "full", "fp32", **MIXED),
    "lora": Setting("", "lora", "bf16", lora=ALL_LINEAR, **MIXED),
    "qlora": Setting("", "qlora", "nf4", lora=ALL_LINEAR, **MIXED),
}

NORMS_AFTER = "norm_states: no formula for OPT with its norms after the sums (350M) yet"
LINEAR_ATTENTION = {
    "Qwen/Qwen3-Next-80B-A3B-Instruct": "qwen3_next", "Qwen/Qwen3.5-27B": "qwen3_5", "Qwen/Qwen3.5-4B": "qwen3_5",
    "Qwen/Qwen3.5-9B": "qwen3_5", "Qwen/Qwen3.5-35B-A3B": "qwen3_5_moe", "Qwen/Qwen3.5-397B-A17B": "qwen3_5_moe",
}  # fmt: skip
"""What their gated delta rule needs depends on kernels that may or may not be installed: only a trace follows them."""
REFUSED = {("facebook/opt-350m", method): NORMS_AFTER for method in METHODS} | {
    (name, method): f"activations: no formula for the layers of {family} yet"
    for name, family in LINEAR_ATTENTION.items()
    for method in METHODS
}


def _refusal(facts: ModelFacts, setting: Setting) -> str | None:
    head = "masked-lm" if facts.config["model_type"] in ENCODERS else "causal-lm"
    fields = {name: getattr(setting, name) for name in Setting.__dataclass_fields__}
    try:
        found = estimate(
            Setting(**{**fields, "model": facts.id, "head": head, "batch_size": 2, "sequence_length": 128}), facts
        )
    except (UnsupportedRow, UnsupportedModel) as refused:
        return str(refused)
    _is_whole(found)
    return None


def _is_whole(found: Estimate) -> None:
    """What is alive at the fullest moments of the passes is in the ledger: no row gets lost for want of a rule."""
    assert found.context is not None
    for phase in found.phases:
        moment = found.context.moments.get(phase.name)
        counted = {rule.name: size for rule, size in phase.sizes}
        for row, size in (moment.rows if moment else {}).items():
            assert not size or counted.get(row, 0) >= size, (phase.name, row)


@pytest.mark.parametrize("name", MODEL_IDS)
def test_every_model_of_the_tables_is_followed_but_these(name: str) -> None:
    facts = load_model(name)
    assert isinstance(facts, ModelFacts)
    refusals = {method: _refusal(facts, setting) for method, setting in METHODS.items()}
    assert refusals == {method: REFUSED.get((name, method)) for method in METHODS}


def test_none_but_models_of_the_tables_are_listed() -> None:
    assert {name for name, _ in REFUSED} <= set(MODEL_IDS)
