"""The peak on the device: steady terms of full bf16 training are 4 × 15.23 GB = 60.92 GB."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.checks.build import outcome_of


@pytest.mark.parametrize(
    ("text", "claim", "verdict", "reason"),
    [
        ("62 GB", "scenario: qwen-bf16", "agrees", "peak at"),
        ("94 GB", "scenario: qwen-bf16", "disagrees", ""),
        ("28 GB", "scenario: qwen-fp32", "disagrees", ""),
        ("at least 60 GB", "scenario: qwen-bf16", "agrees", ""),
        ("less than 24 GB", "scenario: qwen-bf16", "disagrees", ""),
        ("90 GB", "scenario: qwen-open", "depends", ""),
    ],
)
def test_peak_memory(tmp_path: Path, text: str, claim: str, verdict: str, reason: str) -> None:
    outcome = outcome_of(tmp_path, text, f"quantity: peak_memory, {claim}".rstrip(", "), verdict)
    assert reason in outcome.reason


@pytest.mark.parametrize("text", ["a lot", "16 cores"])
def test_text_that_is_no_such_thing_is_malformed(tmp_path: Path, text: str) -> None:
    outcome = outcome_of(tmp_path, text, "quantity: peak_memory, scenario: qwen-fp32", "unchecked")
    assert outcome.malformed is not None
    assert repr(text)[1:-1] in outcome.malformed
