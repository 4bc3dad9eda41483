"""What formulas replay against what traces of the real code replay."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")
pytest.importorskip("bitsandbytes")

from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.estimate import estimate
from toolkit.memory.replay.reserved import replayed
from toolkit.memory.trace.trace import trace
from toolkit.spec.settings.setting import Lora, Setting

pytestmark = pytest.mark.reference

CLOSE = 0.01
"""How far a trace's replay may lie outside the interval of a formula's, as a share."""

MIXED = {"amp": True, "gradients": "fp32", "optimizer_states": "fp32"}
LORA = {"lora": Lora(16, 32, ("q_proj", "k_proj", "v_proj", "o_proj")), **MIXED}
REENTRANT = {"gradient_checkpointing": "reentrant"}
QWEN, MISTRAL, LLAMA = "Qwen/Qwen2.5-0.5B", "mistralai/Mistral-7B-v0.1", "meta-llama/Llama-2-7b-hf"
FORMS: dict[str, dict[str, Any]] = {
    "full": {"method": "full", "weights": "bf16"},
    "full under autocast": {"method": "full", "weights": "fp32", **MIXED},
    "lora": {"method": "lora", "weights": "bf16", **LORA},
    "qlora": {"method": "qlora", "weights": "nf4", **LORA},
}
CASES: dict[str, tuple[str, int, int, dict[str, Any]]] = {
    "full, 0.5B": (QWEN, 2, 512, FORMS["full"]),
    "full under autocast, 0.5B": (QWEN, 2, 512, FORMS["full under autocast"]),
    "lora, 0.5B": (QWEN, 2, 512, FORMS["lora"]),
    "full, 7B, checkpoints": (MISTRAL, 4, 4096, {**FORMS["full"], **REENTRANT, "attention": "flash"}),
    "lora, 7B, checkpoints": (MISTRAL, 4, 4096, {**FORMS["lora"], **REENTRANT, "attention": "flash"}),
    "qlora, 7B, checkpoints": (MISTRAL, 4, 4096, {**FORMS["qlora"], **REENTRANT, "attention": "flash"}),
    "qlora, 7B": (LLAMA, 1, 1024, FORMS["qlora"]),
    "a prompt, 7B": (LLAMA, 1, 4096, {"method": "inference", "weights": "nf4", "generated_length": 1}),
    "a cache that grows": (LLAMA, 4, 1024, {"method": "inference", "weights": "bf16", "generated_length": 12}),
}


@pytest.mark.parametrize(("model", "batch", "sequence", "fields"), CASES.values(), ids=CASES)
def test_a_formula_reserves_what_the_trace_does(model: str, batch: int, sequence: int, fields: dict[str, Any]) -> None:
    facts = load_model(model)
    assert isinstance(facts, ModelFacts)
    setting = Setting(model, batch_size=batch, sequence_length=sequence, **fields)
    seen = trace(setting, facts).reserved
    low, high = replayed(estimate(setting, facts))
    assert low * (1 - CLOSE) <= seen[0]
    assert seen[1] <= high * (1 + CLOSE)
