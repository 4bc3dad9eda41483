"""Memory of the gradients."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.checks.build import outcome_of


@pytest.mark.parametrize(
    ("text", "claim", "verdict", "reason"),
    [
        # 7,615,616,512 × 4 bytes
        ("30.5 GB", "scenario: qwen-fp32", "agrees", "7,615,616,512 trained parameters, gradients in fp32"),
        # 7,615,616,512 × 2 bytes = 15.23 GB
        ("15.2 GB", "scenario: qwen-bf16", "agrees", "gradients in bf16"),
        ("8 GB", "scenario: qwen-bf16", "disagrees", "15.23 GB"),
        # rank 16: 28 × 90,112 × 16 = 40,370,176 weights × 4 bytes
        ("161.5 MB", "scenario: qwen-lora-rank-open", "depends", ""),
    ],
)
def test_gradients(tmp_path: Path, text: str, claim: str, verdict: str, reason: str) -> None:
    outcome = outcome_of(tmp_path, text, f"quantity: gradients, {claim}".rstrip(", "), verdict)
    assert reason in outcome.reason


@pytest.mark.parametrize("text", ["large", "1.5x"])
def test_text_that_is_no_such_thing_is_malformed(tmp_path: Path, text: str) -> None:
    outcome = outcome_of(tmp_path, text, "quantity: gradients, scenario: qwen-fp32", "unchecked")
    assert outcome.malformed is not None
    assert repr(text)[1:-1] in outcome.malformed
