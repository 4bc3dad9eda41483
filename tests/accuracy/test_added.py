"""What one pass adds: readings of fifteen models in two releases against the rows of a pass alone."""

from __future__ import annotations

import pytest

from tests.accuracy.build import PUBLISHED
from toolkit.accuracy.score import Scores, score
from toolkit.spec.published import load_published


@pytest.fixture(scope="module")
def scores() -> Scores:
    source, _ = load_published(PUBLISHED / "textwiz", PUBLISHED)
    assert source is not None
    return score([source], PUBLISHED)


def errors(scores: Scores, metric: str) -> list[float]:
    """Of models of known configuration, smallest first."""
    return sorted(abs(one.error) for one in scores.scored if one.reading.metric == metric)


def test_the_pass_over_a_prompt_is_known_to_parts_in_a_thousand(scores: Scores) -> None:
    """Beside rows there is what the allocator does not split off: up to 1 MiB a tensor."""
    found = errors(scores, "added_by_prompt")
    assert len(found) >= 112
    assert found[len(found) // 2] <= 0.002
    assert found[111] <= 0.05


def test_the_pass_of_one_token_is_known_to_parts_in_a_hundred(scores: Scores) -> None:
    """Of 1 to 1,700 MB, nearly all of it the cache of a layer or of all; small ones are as much the allocator's."""
    found = errors(scores, "added_by_token")
    assert len(found) == 112
    assert found[56] <= 0.013
    assert found[104] <= 0.1


def test_nothing_of_the_model_is_in_what_a_pass_adds(scores: Scores) -> None:
    [found] = [one for one in scores.scored if one.run.run == "old-gpt2-xl-prefill-992"]
    assert abs(found.error) < 0.000001
