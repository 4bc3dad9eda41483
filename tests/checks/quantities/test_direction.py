"""The direction of a change, by words."""

from __future__ import annotations

import pytest

from toolkit.checks.quantities.direction import Direction, worded


@pytest.mark.parametrize(
    ("text", "direction"),
    [
        ("a 50% reduction", Direction.LESS),
        ("saves 3 GB", Direction.LESS),
        ("a 50% speedup", Direction.LESS),
        ("is larger by half", Direction.MORE),
        ("↑ 20%", Direction.MORE),
        ("less memory, but slower", None),
        ("+50-100 MB", None),
    ],
)
def test_words_name_a_direction_or_none(text: str, direction: Direction | None) -> None:
    assert worded(text) is direction
