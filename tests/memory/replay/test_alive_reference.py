"""What is alive at the fullest moment of a replay, against what traces of the real code have alive."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")

from tests.memory.trace.cut import cut
from toolkit.memory.estimate import estimate
from toolkit.memory.replay.reserved import worked_out
from toolkit.memory.trace.trace import trace
from toolkit.spec.settings.setting import Lora, Peft, Setting, Stack

pytestmark = pytest.mark.reference

WIDE: dict[str, Any] = {"weights": "fp32", "gradients": "fp32", "optimizer_states": "fp32"}
FULL = Setting("openai-community/gpt2", "full", batch_size=8, sequence_length=128, attention="sdpa", **WIDE)
LORA = replace(FULL, model="Qwen/Qwen2.5-0.5B", method="lora", lora=Lora(256))
CASES = {
    "gradients of positions": replace(FULL, batch_size=2),
    "what the norm of embeddings saved": replace(
        FULL, model="FacebookAI/roberta-base", head="sequence-classification", labels=2, gradient_accumulation=2,
        stack=Stack("transformers"), gradient_checkpointing="non-reentrant",
    ),
    "a matrix that LoRA freezes": replace(LORA, lora=Lora(256, frozen="a")),
    "random projections": replace(
        FULL, model="Qwen/Qwen2.5-0.5B", method="randlora", peft=Peft(("q_proj",), 32, "fp32")
    ),
    "adapters that no text reaches": replace(
        LORA, model="llava-hf/llava-1.5-7b-hf", weights="bf16", lora=Lora(256, targets=("fc1", "k_proj"))
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_as_much_is_alive_in_a_replay_as_in_the_code(name: str) -> None:
    setting = CASES[name]
    facts = cut(setting.model, 2)
    known, seen = estimate(setting, facts), trace(setting, facts, whole=True)
    assert known.context is not None
    assert worked_out(known.context).alive == pytest.approx(seen.allocated, rel=0.0008)
