"""Trained parameters by those of the model."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.checks.build import outcome_of


@pytest.mark.parametrize(
    ("text", "claim", "verdict", "reason"),
    [
        # 7,962,624 / 20,914,757,184 = 0.03807 %
        ("0.038%", "scenario: oss-lora", "agrees", "7,962,624 of 20,914,757,184"),
        # 7,962,624 / 11,049,066,048 = 0.0721 %
        ("0.07%", "scenario: oss-lora", "disagrees", "/ 11,049,066,048 reproduces it"),
        ("0.09%", "scenario: oss-lora", "disagrees", "0.0381 %"),
        ("100%", "scenario: qwen-fp32", "agrees", ""),
        # 40,370,176 / 7,615,616,512 = 0.5301 %
        ("0.53%", "scenario: qwen-lora16", "agrees", ""),
        ("0.53%", "scenario: qwen-lora-rank-open", "depends", ""),
    ],
)
def test_trainable_share(tmp_path: Path, text: str, claim: str, verdict: str, reason: str) -> None:
    outcome = outcome_of(tmp_path, text, f"quantity: trainable_share, {claim}".rstrip(", "), verdict)
    assert reason in outcome.reason


def test_a_share_that_stored_elements_do_not_give_is_not_put_down_to_them(tmp_path: Path) -> None:
    outcome = outcome_of(tmp_path, "0.09%", "quantity: trainable_share, scenario: oss-lora", "disagrees")
    assert "storage elements" not in outcome.reason


@pytest.mark.parametrize("text", ["a fraction", "7 MB", "0.00038"])
def test_text_that_is_no_such_thing_is_malformed(tmp_path: Path, text: str) -> None:
    outcome = outcome_of(tmp_path, text, "quantity: trainable_share, scenario: oss-lora", "unchecked")
    assert outcome.malformed is not None
    assert repr(text)[1:-1] in outcome.malformed
