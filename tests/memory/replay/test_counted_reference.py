"""What torch counts of live tensors, in whole blocks: from formulas, and as traces of the real code replay it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")

from tests.memory.trace.cut import cut
from toolkit.memory.estimate import estimate
from toolkit.memory.ledger import PhaseName
from toolkit.memory.replay.reserved import counted, worked_out
from toolkit.memory.trace.trace import trace
from toolkit.spec.settings.setting import Lora, Setting, Stack

pytestmark = pytest.mark.reference

MIXED: dict[str, Any] = {"weights": "fp32", "amp": True, "gradients": "fp32", "optimizer_states": "fp32"}
FULL = Setting("openai-community/gpt2", "full", "bf16", batch_size=2, sequence_length=200, attention="sdpa")
CASES = {
    "full": FULL,
    "checkpoints": replace(FULL, gradient_checkpointing="non-reentrant"),
    "autocast": replace(FULL, **MIXED),
    "a plain loop": replace(FULL, stack=Stack("plain", result="loss")),
    "an encoder": replace(
        FULL, model="google-bert/bert-base-uncased", head="sequence-classification", labels=2, **MIXED
    ),
    "lora": replace(FULL, model="Qwen/Qwen2.5-0.5B", method="lora", lora=Lora(8), amp=True, gradients="fp32",
                    optimizer_states="fp32"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_blocks_are_counted_as_traced(name: str) -> None:
    setting = CASES[name]
    facts = cut(setting.model, 4)
    known, seen = estimate(setting, facts), trace(setting, facts, whole=True)
    low, high = counted(known)
    assert low > known.allocated, "a case that shows nothing"
    assert seen.blocks[0] * 0.997 <= low <= high <= seen.blocks[1] * 1.003


ANSWERS = {"gradients": "none", "optimizer": "none", "optimizer_states": "none"}
READ = replace(FULL, method="inference", **ANSWERS)
PASSES = {
    "a prompt": replace(READ, model="Qwen/Qwen2.5-0.5B", batch_size=8),
    "an answer": replace(READ, model="EleutherAI/pythia-410m", batch_size=4, sequence_length=500, generated_length=40),
    "an encoder": replace(READ, model="google-bert/bert-base-uncased", head="masked-lm", batch_size=8),
}


@pytest.mark.parametrize(("loading", "way"), [("moved", 0), ("device-map", 1)])
@pytest.mark.parametrize("name", PASSES)
def test_blocks_of_inference_are_counted_as_traced(name: str, loading: str, way: int) -> None:
    setting = replace(PASSES[name], loading=loading)
    facts = cut(setting.model, 4)
    known, seen = estimate(setting, facts), trace(setting, facts, whole=True)
    low, high = counted(known)
    assert low == high > seen.allocated * 1.0015, "a case that shows nothing"
    assert seen.timeline.replay(PhaseName.LOAD, warm=way == 1).allocated == pytest.approx(low, rel=0.0002)


@pytest.mark.parametrize("weights", ["nf4", "fp4"])
def test_tokens_one_by_one_need_no_dequantized_weights_when_replayed(weights: str) -> None:
    setting = replace(
        READ, model="microsoft/phi-2", weights=weights, compute="fp16", batch_size=1, sequence_length=7,
        generated_length=400,
    )  # fmt: skip
    facts = cut(setting.model, 4)
    known, seen = estimate(setting, facts), trace(setting, facts, whole=True)
    assert known.context is not None
    assert worked_out(known.context).alive == pytest.approx(seen.allocated, rel=0.001)
