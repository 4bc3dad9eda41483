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
from toolkit.memory.replay.reserved import counted
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


def test_of_inference_live_tensors_alone_are_counted() -> None:
    asked = replace(FULL, method="inference", gradients="none", optimizer="none", optimizer_states="none")
    known = estimate(asked, cut(FULL.model, 4))
    assert counted(known) == (known.allocated, known.allocated)
