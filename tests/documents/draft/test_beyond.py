"""A draft binds what is no figure of memory too, so that an author sees it watched: changes of speed, cards by name."""

import pytest

from tests.documents.draft.drafts import drafted
from toolkit.documents.draft.drafted import DraftedClaim
from toolkit.spec.quote import Quote


def of(text: str, quantity: str) -> list[DraftedClaim]:
    return [one for one in drafted(text).draft.claims if one.quantity == quantity]


def words(text: str, quantity: str) -> list[str]:
    return [one.source.text for one in of(text, quantity) if isinstance(one.source, Quote)]


@pytest.mark.parametrize(
    ("text", "quote"),
    [
        ("With the new kernels training is 40% faster than it was.", "{} faster"),
        ("The distilled model is 3x smaller, and as good.", "{} smaller"),
        ("Packing reduces the time of an epoch by 30%, which we like.", "by {}"),
    ],
)
def test_changes_of_speed_and_size_are_bound(text: str, quote: str) -> None:
    assert [quote in found for found in words(text, "change")] == [True]
    assert of(text, "change")[0].question == "from which figure to which?"


def test_a_change_of_speed_with_both_ends_is_judged() -> None:
    text = "An epoch went from 8 hours to 4 hours (50% faster)."
    found = of(text, "change")[0]
    assert found.question is None
    assert (found.start, found.end) == ("figure_line_1", "figure_line_1_2")


@pytest.mark.parametrize(
    "text",
    [
        "It scores 80% more accurate answers than before.",
        "We kept 95% of the examples.",
        "A window of 32k holds 4x more tokens.",
        "It is two steps, 3x 24 samples.",
    ],
)
def test_other_shares_and_ratios_are_left(text: str) -> None:
    assert of(text, "change") == []


def test_cards_that_something_runs_on_are_bound_by_their_names() -> None:
    text = "Qwen2.5-7B in 4-bit runs on an RTX 3090 or RTX 4090, as we saw.\n"
    assert len(words(text, "fits")) == 2
    assert all(one.subject == {"says": "fits"} for one in of(text, "fits"))


def test_cards_of_a_list_of_requirements_are_bound() -> None:
    text = "# Hardware requirements\n\n- **GPU:** RTX 3060 (12GB), RTX 4070, or better\n- **RAM:** 16 GB\n"
    assert words(text, "fits") == ["**GPU:** {} (12GB), RTX", "(12GB), {}, or better"]


def test_a_card_that_is_only_spoken_of_is_not() -> None:
    assert of("# History\n\n- **GPU:** RTX 3060\n\nThe RTX 4070 came later.\n", "fits") == []
