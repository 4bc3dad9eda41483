"""Sdpa on GPUs that no fused kernel runs on, against the code of transformers and torch on tensors without storage."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from tests.memory.trace.agree import agree
from tests.memory.trace.cut import cut
from tests.memory.whole_blocks import as_traced
from toolkit.memory.estimate import estimate
from toolkit.memory.ledger import PhaseName
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.trace.trace import trace
from toolkit.spec.settings.setting import Setting, Stack

pytestmark = pytest.mark.reference

QWEN = Setting(
    "Qwen/Qwen2.5-0.5B", "full", "bf16", compute="bf16", gradients="bf16", optimizer="none", batch_size=3,
    sequence_length=256, attention="sdpa", gpu="V100 32GB", stack=Stack("plain"),
)  # fmt: skip
BERT, LATENT = "google-bert/bert-base-uncased", "deepseek-ai/DeepSeek-R1"
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


GENERATES = {"method": "inference", "stack": Stack("transformers")}


@pytest.mark.parametrize(
    ("setting", "heads"),
    [
        (replace(QWEN, **GENERATES, generated_length=4), 14),
        (replace(QWEN, **GENERATES, model=BERT, head="masked-lm", sequence_length=512), 12),
        (replace(QWEN, **GENERATES, model=LATENT, sequence_length=64), 0),
    ],
    ids=["shared heads", "both ways", "heads out of a latent"],
)
def test_inference_writes_scores_out(setting: Setting, heads: int) -> None:
    """_safe_softmax makes a boolean of each score, which a trace does not see; few of wide heads are not the most."""
    facts = cut(setting.model, 3)
    seen, computed = trace(setting, facts, whole=True).ledger, estimate(setting, facts).ledger
    for phase in seen.phases:
        other = computed.phase(phase.name)
        assert other is not None
        unseen = setting.batch_size * heads * setting.sequence_length**2 if phase.name is PhaseName.PREFILL else 0
        assert as_traced(other) - unseen == pytest.approx(phase.total, rel=0.0002), phase.name


@pytest.mark.parametrize(
    "setting",
    [
        replace(QWEN, model=BERT, head="masked-lm"),
        replace(QWEN, **MIXED, model=BERT, head="sequence-classification", labels=2),
        replace(QWEN, **MIXED, model="distilbert/distilbert-base-uncased", head="masked-lm"),
    ],
    ids=["bfloat16", "autocast", "compact"],
)
def test_encoders_keep_scores_of_both_ways(setting: Setting) -> None:
    """No mask is added to them, and their dropout keeps one of its own."""
    agree(setting, 3, peak=0.0005, elsewhere=0.0005)


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
        ({"model": "google-t5/t5-small"}, "T5's biases in bfloat16 on GPUs before Ampere"),
        ({"model": "facebook/bart-base"}, "encoder-decoder's sdpa in bfloat16 on GPUs before Ampere"),
    ],
)
def test_what_is_not_followed_is_refused_by_name(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(UnsupportedRow, match=reason):
        total(replace(QWEN, **fields))
