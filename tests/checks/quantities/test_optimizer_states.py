"""Memory of the optimizer states: two values a parameter with AdamW."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.checks.build import outcome_of


@pytest.mark.parametrize(
    ("text", "claim", "verdict", "reason"),
    [
        # 7,615,616,512 × 8 bytes = 60.92 GB
        ("60.9 GB", "scenario: qwen-fp32", "agrees", "adamw states in fp32"),
        # 60,924,932,096 / 2^30 = 56.74
        ("56.7 GiB", "scenario: qwen-fp32", "agrees", ""),
        # without a master copy torch keeps states as the weights
        ("30.5 GB", "scenario: qwen-bf16", "agrees", "adamw states in bf16"),
        ("56 GB", "scenario: qwen-bf16", "disagrees", ""),
        # rank 16: 40,370,176 × 8 bytes = 322,961,408
        ("323 MB", "scenario: qwen-lora-rank-open", "depends", ""),
    ],
)
def test_optimizer_states(tmp_path: Path, text: str, claim: str, verdict: str, reason: str) -> None:
    outcome = outcome_of(tmp_path, text, f"quantity: optimizer_states, {claim}".rstrip(", "), verdict)
    assert reason in outcome.reason


@pytest.mark.parametrize("text", ["two copies"])
def test_text_that_is_no_such_thing_is_malformed(tmp_path: Path, text: str) -> None:
    outcome = outcome_of(tmp_path, text, "quantity: optimizer_states, scenario: qwen-fp32", "unchecked")
    assert outcome.malformed is not None
    assert repr(text)[1:-1] in outcome.malformed
