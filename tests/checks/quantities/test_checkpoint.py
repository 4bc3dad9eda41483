"""How a published checkpoint is stored; what is open has no say."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.checks.build import outcome_of


@pytest.mark.parametrize(
    ("text", "claim", "verdict", "reason"),
    [
        ("MXFP4", "scenario: oss-loaded", "agrees", "is quantized, as MXFP4"),
        # the base gpt-oss-20b is published in MXFP4, too
        ("unquantized", "scenario: oss-loaded", "disagrees", "is quantized, as MXFP4"),
        ("not quantized", "scenario: oss-loaded", "disagrees", ""),
        ("BF16", "scenario: oss-loaded", "disagrees", ""),
        ("unquantised", "scenario: llama-bf16", "agrees", "is stored in BF16"),
        ("bfloat16", "scenario: llama-bf16", "agrees", ""),
        ("fp32", "scenario: llama-bf16", "disagrees", ""),
    ],
)
def test_checkpoint(tmp_path: Path, text: str, claim: str, verdict: str, reason: str) -> None:
    outcome = outcome_of(tmp_path, text, f"quantity: checkpoint, {claim}".rstrip(", "), verdict)
    assert reason in outcome.reason


@pytest.mark.parametrize("text", ["good", "16 GB"])
def test_text_that_is_no_such_thing_is_malformed(tmp_path: Path, text: str) -> None:
    outcome = outcome_of(tmp_path, text, "quantity: checkpoint, scenario: llama-bf16", "unchecked")
    assert outcome.malformed is not None
    assert repr(text)[1:-1] in outcome.malformed
