"""What the device holds beyond tensors; an interval at one setting, so that it hardly depends on any."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.checks.build import outcome_of


@pytest.mark.parametrize(
    ("text", "claim", "verdict", "reason"),
    [
        ("1 GB", "scenario: qwen-fp32", "unchecked", "neither confirm nor deny"),
        ("400 GB", "scenario: qwen-fp32", "disagrees", "CUDA context"),
        ("20 MB", "scenario: qwen-fp32", "disagrees", ""),
        ("up to 20 GB", "scenario: qwen-fp32", "agrees", ""),
    ],
)
def test_overhead(tmp_path: Path, text: str, claim: str, verdict: str, reason: str) -> None:
    outcome = outcome_of(tmp_path, text, f"quantity: overhead, {claim}".rstrip(", "), verdict)
    assert reason in outcome.reason


@pytest.mark.parametrize("text", ["some"])
def test_text_that_is_no_such_thing_is_malformed(tmp_path: Path, text: str) -> None:
    outcome = outcome_of(tmp_path, text, "quantity: overhead, scenario: qwen-fp32", "unchecked")
    assert outcome.malformed is not None
    assert repr(text)[1:-1] in outcome.malformed
