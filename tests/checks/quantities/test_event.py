"""Events stay unchecked whatever the text, which is never malformed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.checks.build import outcome_of


@pytest.mark.parametrize("text", ["success", "2025-11-05"])
def test_event(tmp_path: Path, text: str) -> None:
    assert "no record" in outcome_of(tmp_path, text, "quantity: event", "unchecked").reason
