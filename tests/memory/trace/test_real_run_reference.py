"""What a trace sees is what a real run asks for: the same code on a CPU, watched by torch's profiler."""

from __future__ import annotations

import re
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")

from tests.memory.trace.cut import cut
from tests.memory.trace.real_run import real_peaks
from toolkit.facts.models import model_from_config
from toolkit.memory.ledger import Category, PhaseName
from toolkit.memory.trace.trace import trace
from toolkit.spec.settings.setting import Lora, Setting

pytestmark = pytest.mark.reference

NEAR = 0.0005
"""Blocks are rounded to 512 bytes on a GPU, and a model's small tensors are thousands of bytes."""
DROPS = re.compile("drop")
SMALL = {"vocab_size": 2048, "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}

PLAIN: dict[str, Any] = {
    "method": "full", "weights": "fp32", "compute": "fp32", "gradients": "fp32", "optimizer_states": "fp32",
    "optimizer": "sgd", "optimizer_implementation": "for-loop", "attention": "eager",
    "batch_size": 2, "sequence_length": 64,
}  # fmt: skip
LORA = {**PLAIN, "method": "lora", "lora": Lora(8, 8)}
QWEN = "Qwen/Qwen2.5-0.5B"
MIXTURE = "Qwen/Qwen3-30B-A3B"
NARROW = {"hidden_size": 512, "num_experts": 8, "moe_intermediate_size": 256, "num_experts_per_tok": 2}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "full": (QWEN, PLAIN),
    "full, autocast": (QWEN, {**PLAIN, "compute": "bf16", "amp": True}),
    "full, checkpointed": (QWEN, {**PLAIN, "gradient_checkpointing": "non-reentrant"}),
    "lora": (QWEN, LORA),
    "lora, autocast": (QWEN, {**LORA, "compute": "bf16", "amp": True}),
    "lora, checkpointed": (QWEN, {**LORA, "gradient_checkpointing": "non-reentrant"}),
    "lora, reentrant": (QWEN, {**LORA, "gradient_checkpointing": "reentrant"}),
    **{
        name.split("/")[1]: (name, PLAIN)
        for name in (
            "openai-community/gpt2", "EleutherAI/pythia-70m", "facebook/opt-125m", "bigscience/bloom-560m",
            "google/gemma-3-270m", "Qwen/Qwen3-0.6B", "HuggingFaceTB/SmolLM2-135M",
        )
    },
    MIXTURE.split("/")[1]: (MIXTURE, PLAIN),
    **{
        name.split("/")[1]: (name, {**PLAIN, "head": "masked-lm"})
        for name in ("google-bert/bert-base-uncased", "microsoft/deberta-v3-small", "FacebookAI/roberta-base")
    },
}  # fmt: skip


QUICK = ("full, autocast", "lora, reentrant", "deberta-v3-small", MIXTURE.split("/")[1])


@pytest.mark.parametrize(
    ("name", "fields"),
    [pytest.param(*said, id=case, marks=() if case in QUICK else pytest.mark.slow) for case, said in CASES.items()],
)
def test_a_trace_is_what_a_real_run_asks_for(name: str, fields: dict[str, Any]) -> None:
    whole = cut(name)
    still = {key: 0.0 for key in whole.config if DROPS.search(key)}  # a CPU's dropout keeps another mask
    facts = model_from_config({**whole.config, **SMALL, **still, **(NARROW if name == MIXTURE else {})}, name)
    setting = Setting(name, **fields)
    real = real_peaks(setting, facts)
    found = trace(setting, facts).ledger
    seen = [found.phase(phase) for phase in (PhaseName.FORWARD_END, PhaseName.BACKWARD)]
    forward, backward = (phase.total - phase.of(Category.WORKSPACE) for phase in seen if phase is not None)
    assert forward == pytest.approx(real.forward, rel=NEAR)
    assert backward == pytest.approx(real.backward, rel=NEAR)
