"""Memory of the adapters alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.checks.build import outcome_of


@pytest.mark.parametrize(
    ("text", "claim", "verdict", "reason"),
    [
        # 24 × (6,976 + 3,392 + 3,392 + 6,976) × 16 = 7,962,624, × 4 bytes = 31.85 MB
        ("32 MB", "scenario: oss-lora", "agrees", "7,962,624 adapter parameters, rank 16"),
        ("16 MB", "scenario: oss-lora", "disagrees", ""),
        ("32 MB", "scenario: oss-answers", "agrees", "rank 16, not merged"),
        ("161.5 MB", "scenario: qwen-lora-rank-open", "depends", ""),
    ],
)
def test_adapters(tmp_path: Path, text: str, claim: str, verdict: str, reason: str) -> None:
    outcome = outcome_of(tmp_path, text, f"quantity: adapters, {claim}".rstrip(", "), verdict)
    assert reason in outcome.reason


@pytest.mark.parametrize("text", ["tiny"])
def test_text_that_is_no_such_thing_is_malformed(tmp_path: Path, text: str) -> None:
    outcome = outcome_of(tmp_path, text, "quantity: adapters, scenario: oss-lora", "unchecked")
    assert outcome.malformed is not None
    assert repr(text)[1:-1] in outcome.malformed
