"""Size of the published tensors; what is open has no say."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.checks.build import outcome_of


@pytest.mark.parametrize(
    ("text", "claim", "verdict", "reason"),
    [
        # 8,030,261,248 × 2 = 16,060,522,496
        ("16 GB", "scenario: llama-bf16", "agrees", "16.06 GB"),
        ("4 GB", "scenario: llama-bf16", "disagrees", "16.06 GB"),
        # the index of openai/gpt-oss-20b says 13,761,264,768 bytes
        ("13.8 GB", "scenario: oss-loaded", "agrees", "13.77 GB"),
        ("40 GB", "scenario: oss-loaded", "disagrees", "13.77 GB"),
        ("500 GB", "", "unchecked", "names no model"),
        # what shall be free may be more than is taken, and not less
        ("20GB+", "scenario: llama-bf16, subject: {says: enough}", "agrees", "16.06 GB"),
        ("5-20 GB", "scenario: llama-bf16, subject: {says: enough}", "agrees", "16.06 GB"),
        ("5-10 GB", "scenario: llama-bf16, subject: {says: enough}", "disagrees", "16.06 GB"),
    ],
)
def test_disk(tmp_path: Path, text: str, claim: str, verdict: str, reason: str) -> None:
    outcome = outcome_of(tmp_path, text, f"quantity: disk, {claim}".rstrip(", "), verdict)
    assert reason in outcome.reason


@pytest.mark.parametrize("text", ["big"])
def test_text_that_is_no_such_thing_is_malformed(tmp_path: Path, text: str) -> None:
    outcome = outcome_of(tmp_path, text, "quantity: disk, scenario: llama-bf16", "unchecked")
    assert outcome.malformed is not None
    assert repr(text)[1:-1] in outcome.malformed
