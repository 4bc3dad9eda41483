"""Events stay unchecked whatever the text, which is never malformed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.checks.build import outcome_of


@pytest.mark.parametrize(
    ("text", "claim", "verdict", "reason"),
    [
        ("success", "", "unchecked", "no record"),
        ("2025-11-05", "", "unchecked", "no record"),
    ],
)
def test_event(tmp_path: Path, text: str, claim: str, verdict: str, reason: str) -> None:
    outcome = outcome_of(tmp_path, text, f"quantity: event, {claim}".rstrip(", "), verdict)
    assert reason in outcome.reason
