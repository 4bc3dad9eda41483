"""The result that a training loop has a name for, against the code of transformers run on tensors without storage."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")

from toolkit.facts.models import ModelFacts, load_model, model_from_config
from toolkit.memory.estimate import estimate
from toolkit.memory.ledger import PhaseName
from toolkit.memory.trace.trace import trace
from toolkit.spec.settings.setting import Setting, Stack

pytestmark = pytest.mark.reference

VOCABULARY = 4_000


@pytest.mark.parametrize("model", ["facebook/opt-1.3b", "Qwen/Qwen2.5-0.5B"])
@pytest.mark.parametrize("checkpointing", ["false", "reentrant"])
def test_a_decoders_result_stays_until_the_next_and_has_no_cache(model: str, checkpointing: str) -> None:
    facts = load_model(model)
    assert isinstance(facts, ModelFacts)
    facts = model_from_config({**facts.config, "num_hidden_layers": 4, "vocab_size": VOCABULARY}, model)
    setting = Setting(
        model, "full", "bf16", batch_size=4, sequence_length=128, gradient_checkpointing=checkpointing,
        optimizer_implementation="fused", stack=Stack("plain", "named"),
    )  # fmt: skip
    seen, said = trace(setting, facts, whole=True), estimate(setting, facts)
    for name in (PhaseName.FORWARD_END, PhaseName.BACKWARD, PhaseName.OPTIMIZER_STEP):
        mine, its = said.ledger.phase(name), seen.ledger.phase(name)
        assert mine is not None
        assert its is not None
        assert mine.total == pytest.approx(its.total, rel=0.002)
    step = said.ledger.phase(PhaseName.OPTIMIZER_STEP)
    assert step is not None
    assert {row.name: row.bytes for row in step.rows}["named_result"] == 4 * 128 * VOCABULARY * 2


@pytest.mark.parametrize("model", ["openai-community/gpt2", "Qwen/Qwen2.5-0.5B"])
@pytest.mark.parametrize("loss", ["cross-entropy", "from-logits"])
@pytest.mark.parametrize("result", ["loss", "step", "next"])
def test_a_result_that_the_loop_still_names_has_its_logits_and_its_cache(model: str, loss: str, result: str) -> None:
    for checkpointing, caches in (("false", True), ("false", False), ("reentrant", True)):
        layers = {"n_layer": 4} if "gpt2" in model else {"num_hidden_layers": 4}
        facts = load_model(model)
        assert isinstance(facts, ModelFacts)
        facts = model_from_config({**facts.config, **layers, "vocab_size": VOCABULARY, "use_cache": caches}, model)
        setting = Setting(
            model, "full", "bf16", batch_size=4, sequence_length=128, gradient_checkpointing=checkpointing,
            optimizer_implementation="fused", stack=Stack("plain", loss, result=result),
        )  # fmt: skip
        seen, said = trace(setting, facts, whole=True), estimate(setting, facts)
        for name in (PhaseName.FORWARD_END, PhaseName.BACKWARD, PhaseName.OPTIMIZER_STEP):
            mine, its = said.ledger.phase(name), seen.ledger.phase(name)
            assert mine is not None
            assert its is not None
            assert mine.total == pytest.approx(its.total, rel=0.006), (name, checkpointing, caches)
