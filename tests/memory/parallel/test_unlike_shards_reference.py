"""fully_shard over layers of unlike sizes, and sums of gradients that are reduced last, against its own code."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from tests.memory.trace.cut import cut
from toolkit.memory.estimate import estimate
from toolkit.memory.trace.trace import trace
from toolkit.spec.settings.setting import Parallel, Setting, Stack

pytestmark = pytest.mark.reference

DEEPSEEK, MIXTURE = "deepseek-ai/DeepSeek-V2-Lite", "Qwen/Qwen3-30B-A3B"
PLAIN = Setting(
    DEEPSEEK, "full", "bf16", compute="bf16", batch_size=1, sequence_length=512, optimizer_implementation="fused",
    gradient_checkpointing="false", parallel=Parallel(2, "fsdp2"), gpu="A100 80GB", stack=Stack("plain"),
)  # fmt: skip
MIXED = replace(
    PLAIN, weights="fp32", amp=True, gradients="fp32", optimizer_states="fp32", stack=Stack("transformers"),
    parallel=Parallel(4, "fsdp2"),
)  # fmt: skip
CASES = {
    "a dense layer before mixtures": (PLAIN, 3),
    "none is freed after forward": (replace(PLAIN, parallel=Parallel(2, "fsdp2", reshard_after_forward=False)), 3),
    "convolutions between attention": (replace(PLAIN, model="LiquidAI/LFM2-350M", stack=Stack("transformers")), 6),
    "unlike ones summed": (replace(MIXED, gradient_accumulation=2), 3),
    "mixtures summed": (replace(MIXED, model=MIXTURE, gradient_accumulation=3), 2),
    "the end is reduced in another dtype": (
        replace(MIXED, model="meta-llama/Llama-3.1-8B", parallel=Parallel(2, "fsdp2"), gradient_accumulation=2), 3,
    ),
    "a tied embedding, once": (
        replace(MIXED, model="Qwen/Qwen2.5-0.5B", gradient_accumulation=2, sequence_length=64), 4,
    ),
    "a tied embedding, again": (
        replace(MIXED, model="Qwen/Qwen2.5-0.5B", gradient_accumulation=3, sequence_length=64), 4,
    ),
}  # fmt: skip
"""Each with how many layers of the model are run."""


@pytest.mark.parametrize(("setting", "layers"), CASES.values(), ids=CASES)
def test_the_fullest_moment_of_backward(setting: Setting, layers: int) -> None:
    facts = cut(setting.model, layers)
    read, found = trace(setting, facts, whole=True), estimate(setting, facts)
    for phase in read.ledger.phases:
        mine = next((one for one in found.phases if one.name == phase.name), None)
        if mine is not None:
            assert mine.total == pytest.approx(phase.total, rel=0.002), phase.name
