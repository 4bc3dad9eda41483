"""A model whose layers lie on several GPUs, trained and asked: each GPU's formula against what its code does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("accelerate")
pytest.importorskip("peft")

from tests.memory.trace.cut import cut
from tests.memory.whole_blocks import as_traced
from toolkit.memory.estimate import estimate
from toolkit.memory.ledger import Category, Ledger, PhaseName
from toolkit.memory.timeline.one_gpu import each_gpu
from toolkit.memory.timeline.stream import settled
from toolkit.memory.trace.ledger import ledger_of
from toolkit.memory.trace.run import run
from toolkit.memory.trace.trace import trace
from toolkit.spec.settings.setting import Lora, Parallel, Setting, Stack

pytestmark = pytest.mark.reference

QWEN, LLAMA, TIED = "Qwen/Qwen3-8B", "meta-llama/Llama-2-7b-hf", "Qwen/Qwen3-0.6B"
TWO, THREE = Parallel(2, "pipeline"), Parallel(3, "pipeline")
TRL = Stack("trl", loss="chunked")
MIXED = {"amp": True, "gradients": "fp32", "optimizer_states": "fp32"}
FULL = Setting(QWEN, "full", "bf16", batch_size=2, sequence_length=256, attention="sdpa", parallel=TWO)
LORA = replace(FULL, method="lora", lora=Lora(8, targets=("q_proj", "v_proj")), **MIXED)
QLORA = replace(LORA, model=LLAMA, method="qlora", weights="nf4")
AGAIN: dict[str, Any] = {"gradient_checkpointing": "non-reentrant"}
OLDER: dict[str, Any] = {"gradient_checkpointing": "reentrant"}

CASES = {
    "full": (FULL, 6),
    "checkpoints on three GPUs": (replace(FULL, parallel=THREE, **AGAIN), 7),
    "reentrant checkpoints": (replace(FULL, **OLDER), 6),
    "autocast": (replace(FULL, weights="fp32", **MIXED), 6),
    "masks": (replace(FULL, attention="eager"), 6),
    "8-bit states": (replace(FULL, optimizer="adamw_8bit", optimizer_states="int8", **AGAIN), 6),
    "lora": (LORA, 6),
    "qlora": (replace(QLORA, **AGAIN), 6),
    "int8": (replace(QLORA, weights="int8", **AGAIN), 6),
    "the output weight on the first GPU": (replace(FULL, model=TIED), 20),
    "the last norm on the first GPU": (replace(FULL, model="facebook/opt-1.3b"), 8),
    "dense layers first": (replace(FULL, model="deepseek-ai/DeepSeek-V2-Lite", sequence_length=512), 6),
    "trl": (replace(QLORA, stack=TRL, gradients="bf16", optimizer_states="bf16"), 6),
    "trl, and the output weight on the first GPU": (replace(FULL, model=TIED, stack=TRL, amp=True, **AGAIN), 20),
}

ASKED = Setting(QWEN, "inference", "bf16", batch_size=2, sequence_length=512, generated_length=3, attention="sdpa")


def seen(setting: Setting, layers: int) -> tuple[Ledger, ...]:
    """What each GPU holds, as the code was seen to ask for it."""
    found = settled(run(setting, cut(setting.model, layers)), PhaseName.LOAD)
    return tuple(ledger_of(one.timeline, one.kinds) for one in each_gpu(found))


@pytest.mark.parametrize("name", CASES)
def test_each_gpu_trains_as_its_formula_says(name: str) -> None:
    setting, layers = CASES[name]
    parts = estimate(setting, cut(setting.model, layers)).each
    for part, ledger in zip(parts, seen(setting, layers), strict=True):
        for phase in ledger.phases:
            computed = part.ledger.phase(phase.name)
            assert computed is not None
            bound = 0.001 if phase.total >= 0.9 * ledger.peak.total else 0.006
            assert as_traced(computed) == pytest.approx(phase.total, rel=bound), (name, part.stage, phase.name)


@pytest.mark.parametrize(
    ("setting", "layers"),
    [(replace(ASKED, parallel=TWO), 6), (replace(ASKED, model="google/gemma-2-9b", parallel=TWO), 14)],
    ids=["two GPUs", "kinds of layers in turn"],
)
def test_each_gpu_generates_as_its_formula_says(setting: Setting, layers: int) -> None:
    parts = estimate(setting, cut(setting.model, layers)).each
    for part, ledger in zip(parts, seen(setting, layers), strict=True):
        for phase in ledger.phases:
            computed = part.ledger.phase(phase.name)
            assert computed is not None
            assert as_traced(computed) == pytest.approx(phase.total, rel=0.0005), (part.stage, phase.name)


def test_logits_are_on_both_gpus_and_a_trace_is_of_the_fuller() -> None:
    """Two sequences of 256 tokens over 151,936 entries in 16 bits, once more on the GPU that the tokens came from."""
    setting, layers = CASES["full"]
    first, last = seen(setting, layers)
    found = trace(setting, cut(setting.model, layers))
    assert found.how == "every layer, on GPU 1 of 2, which needs most"
    assert found.allocated == max(first.peak.total, last.peak.total)
    logits = 2 * 256 * 151_936 * 2
    at_first = first.phase(PhaseName.FORWARD_END)
    at_last = last.phase(PhaseName.FORWARD_END)
    assert at_first is not None
    assert at_last is not None
    sizes = [[row.bytes for row in phase.rows if row.category is Category.LOGITS] for phase in (at_first, at_last)]
    assert sum(sizes[0]) == pytest.approx(logits, rel=0.001)
    assert sum(sizes[1]) == pytest.approx(5 * logits, rel=0.001)  # 16 bits, float32, and its logarithms
