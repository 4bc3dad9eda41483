"""Quality stays unchecked whatever the text, which is never malformed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.checks.build import outcome_of


@pytest.mark.parametrize("text", ["69%", "good"])
def test_quality(tmp_path: Path, text: str) -> None:
    assert "needs the trained model" in outcome_of(tmp_path, text, "quantity: quality", "unchecked").reason
