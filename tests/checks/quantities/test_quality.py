"""Quality stays unchecked whatever the text, which is never malformed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.checks.build import outcome_of


@pytest.mark.parametrize(
    ("text", "claim", "verdict", "reason"),
    [
        ("69%", "", "unchecked", "needs the trained model"),
        ("good", "", "unchecked", "needs the trained model"),
    ],
)
def test_quality(tmp_path: Path, text: str, claim: str, verdict: str, reason: str) -> None:
    outcome = outcome_of(tmp_path, text, f"quantity: quality, {claim}".rstrip(", "), verdict)
    assert reason in outcome.reason
