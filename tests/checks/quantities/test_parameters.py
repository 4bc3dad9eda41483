"""The exact count, on which nothing open has a say."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.checks.build import outcome_of


@pytest.mark.parametrize(
    ("text", "claim", "verdict", "reason"),
    [
        # as Hugging Face shows for the checkpoint
        (
            "7,615,616,512",
            "scenario: qwen-fp32",
            "agrees",
            "Qwen/Qwen2.5-Coder-7B has 7,615,616,512 parameters",
        ),
        ("7.6B", "scenario: qwen-fp32", "agrees", ""),
        ("7.62 billion", "scenario: qwen-fp32", "agrees", ""),
        ("7,615,616,513", "scenario: qwen-fp32", "disagrees", ""),
        # as design and guides have it
        ("7.0 B", "scenario: qwen-fp32", "disagrees", "7 B is the size in the model's name"),
        ("7B", "scenario: qwen-fp32", "disagrees", ""),
        # 8 less 5 % is 7.6
        ("~8B", "scenario: qwen-fp32", "agrees", ""),
        ("8.03B", "scenario: llama-bf16", "agrees", "8,030,261,248"),
        ("20.9B", "scenario: oss-lora", "agrees", "20,914,757,184"),
        (
            "11,049,066,048",
            "scenario: oss-lora",
            "disagrees",
            "11,041,103,424 storage elements after NF4 packing + 7,962,624 adapter weights",
        ),
        (
            "11,041,103,424",
            "scenario: oss-loaded",
            "disagrees",
            "11,041,103,424 storage elements after NF4 packing",
        ),
        ("11,049,066,049", "scenario: oss-lora", "disagrees", "has 20,914,757,184 parameters"),
    ],
)
def test_parameters(tmp_path: Path, text: str, claim: str, verdict: str, reason: str) -> None:
    outcome = outcome_of(tmp_path, text, f"quantity: parameters, {claim}".rstrip(", "), verdict)
    assert reason in outcome.reason


def test_one_more_than_the_stored_elements_is_not_explained_by_them(tmp_path: Path) -> None:
    outcome = outcome_of(tmp_path, "11,049,066,049", "quantity: parameters, scenario: oss-lora", "disagrees")
    assert "storage elements" not in outcome.reason
    assert outcome.repair is not None
    assert "20.91" in outcome.repair


@pytest.mark.parametrize("text", ["seven", "7 GB", "7 hours"])
def test_text_that_is_no_such_thing_is_malformed(tmp_path: Path, text: str) -> None:
    outcome = outcome_of(tmp_path, text, "quantity: parameters, scenario: qwen-fp32", "unchecked")
    assert outcome.malformed is not None
    assert repr(text)[1:-1] in outcome.malformed
