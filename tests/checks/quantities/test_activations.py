"""What grows with the batch."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.checks.build import outcome_of


@pytest.mark.parametrize(
    ("text", "claim", "verdict", "reason"),
    [
        # the fp32 logits alone: 512 × 152,064 × 4 = 311 MB, once more as gradient and softmax
        ("0.5 GB", "scenario: qwen-fp32", "disagrees", "batch 1 of 512 tokens, no checkpointing"),
        ("8 GB", "scenario: qwen-open", "depends", ""),
        ("900 TB", "scenario: qwen-open", "disagrees", ""),
        ("at least 1 GB", "scenario: qwen-fp32", "agrees", ""),
    ],
)
def test_activations(tmp_path: Path, text: str, claim: str, verdict: str, reason: str) -> None:
    outcome = outcome_of(tmp_path, text, f"quantity: activations, {claim}".rstrip(", "), verdict)
    assert reason in outcome.reason


@pytest.mark.parametrize("text", ["moderate"])
def test_text_that_is_no_such_thing_is_malformed(tmp_path: Path, text: str) -> None:
    outcome = outcome_of(tmp_path, text, "quantity: activations, scenario: qwen-fp32", "unchecked")
    assert outcome.malformed is not None
    assert repr(text)[1:-1] in outcome.malformed
