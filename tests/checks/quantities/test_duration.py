"""Times are read and stay unchecked; what follows from printed ones is in test_follows."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.checks.build import outcome_of


@pytest.mark.parametrize(
    ("text", "claim", "verdict", "reason"),
    [
        ("5 hours", "", "unchecked", "no time of this run"),
    ],
)
def test_duration(tmp_path: Path, text: str, claim: str, verdict: str, reason: str) -> None:
    outcome = outcome_of(tmp_path, text, f"quantity: duration, {claim}".rstrip(", "), verdict)
    assert reason in outcome.reason


@pytest.mark.parametrize("text", ["long", "5 GB"])
def test_text_that_is_no_such_thing_is_malformed(tmp_path: Path, text: str) -> None:
    outcome = outcome_of(tmp_path, text, "quantity: duration", "unchecked")
    assert outcome.malformed is not None
    assert repr(text)[1:-1] in outcome.malformed
