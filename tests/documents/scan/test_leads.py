"""Words of other languages beside a number; expected by reading."""

import pytest

from toolkit.documents.scan.leads import bound_at, hedge_at
from toolkit.quantity import Bound


def at(text: str) -> tuple[str, int, int]:
    """A text with the place of its number."""
    start = next(place for place, sign in enumerate(text) if sign.isdigit())
    end = start + 2
    return text, start, end


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("etwa 24", "etwa"),
        ("Etwa **24**", "Etwa"),
        ("cerca de 24", "cerca de"),
        ("约24", "约"),
        ("24左右", "左右"),
        ("etwas 24", None),
        ("etwa24", None),
        ("24", None),
    ],
)
def test_hedges(text: str, word: str | None) -> None:
    assert hedge_at(*at(text)) == word


@pytest.mark.parametrize(
    ("text", "bound"),
    [
        ("ab 24", Bound.AT_LEAST),
        ("mehr als 24", Bound.AT_LEAST),
        ("不少于24", Bound.AT_LEAST),
        ("不超过24", Bound.AT_MOST),
        ("jusqu’à 24", Bound.AT_MOST),
        ("24以上", Bound.AT_LEAST),
        ("24 未満", Bound.AT_MOST),
        ("Colab 24", None),
        ("надо 24", None),
        ("24 more", None),
    ],
)
def test_bounds(text: str, bound: Bound | None) -> None:
    assert bound_at(*at(text)) is bound
