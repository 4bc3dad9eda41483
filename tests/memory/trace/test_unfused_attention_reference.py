"""Sdpa on GPUs that no fused kernel runs on, against the code of transformers and torch on tensors without storage."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from tests.memory.trace.agree import agree
from tests.memory.trace.cut import cut
from toolkit.memory.estimate import estimate
from toolkit.memory.refusal import UnsupportedRow
from toolkit.spec.settings.setting import Setting, Stack

pytestmark = pytest.mark.reference

QWEN = Setting(
    "Qwen/Qwen2.5-0.5B", "full", "bf16", compute="bf16", gradients="bf16", optimizer="none", batch_size=3,
    sequence_length=256, attention="sdpa", gpu="V100 32GB", stack=Stack("plain"),
)  # fmt: skip
HALF = {"weights": "fp16", "compute": "fp16", "gradients": "fp16", "gpu": "T4"}
MIXED = {"weights": "fp32", "gradients": "fp32", "amp": True}
GROUPED = Stack("plain", versions={"torch": "2.8.0"})


@pytest.mark.parametrize(
    "setting",
    [
        QWEN,
        replace(QWEN, **MIXED),
        replace(QWEN, model="openai-community/gpt2"),
        replace(QWEN, gradient_checkpointing="non-reentrant"),
        replace(QWEN, **HALF, stack=GROUPED),
        replace(QWEN, **{**HALF, **MIXED}, stack=GROUPED),
    ],
    ids=["bfloat16", "autocast", "dropout", "checkpoints", "grouped float16", "grouped float16 by autocast"],
)
def test_training_keeps_scores_in_float32(setting: Setting) -> None:
    agree(setting, 3, peak=0.0005, elsewhere=0.0005)


def test_generation_writes_scores_out() -> None:
    agree(
        replace(QWEN, method="inference", generated_length=4, stack=Stack("transformers")),
        3,
        peak=0.003,
        elsewhere=0.006,
    )


def total(setting: Setting) -> int:
    return estimate(setting, cut(setting.model, 3)).ledger.peak.total


def test_a_newer_card_and_heads_that_are_not_shared_have_a_kernel() -> None:
    """sdp_utils.cpp: flash from compute capability 8.0; the memory-efficient one takes no bfloat16 before."""
    newer = replace(QWEN, gpu="A100 40GB")
    assert total(newer) < total(QWEN)
    assert total(replace(newer, **{**HALF, "gpu": "T4"})) == total(replace(newer, **{**HALF, "gpu": "A100 40GB"}))
    shared = replace(QWEN, **HALF, stack=GROUPED)
    assert total(replace(shared, gpu="A100 40GB")) < total(shared)
    alone = replace(shared, model="openai-community/gpt2")
    assert total(replace(alone, gpu="A100 40GB")) == total(alone)
    repeats = {"torch": "2.8.0", "transformers": "4.53.0"}
    assert total(replace(shared, stack=Stack("plain", versions=repeats))) < total(shared)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"padding": True}, "a mask on GPUs before Ampere"),
        ({"stack": Stack("plain", versions={"torch": "2.4.1"})}, "torch before 2.5 on V100"),
    ],
)
def test_what_is_not_followed_is_refused_by_name(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(UnsupportedRow, match=reason):
        total(replace(QWEN, **fields))
