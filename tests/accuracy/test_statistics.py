"""The statistics on a set made by hand."""

import pytest

from tests.accuracy.build import scored
from toolkit.accuracy.score import half_of
from toolkit.accuracy.statistics import distinct, errors_of, groups, percentile
from toolkit.accuracy.table import worst


def test_percentiles_lie_linearly_between_neighbours() -> None:
    """By hand: of 0, 1, 2, 3, 4 the 90th lies at position 3.6."""
    assert percentile([0.0, 1.0, 2.0, 3.0, 4.0], 0.5) == 2.0
    assert percentile([0.0, 1.0, 2.0, 3.0, 4.0], 0.9) == pytest.approx(3.6)
    assert percentile([7.0], 0.95) == 7.0


def test_repeats_of_a_configuration_are_one_run() -> None:
    """Three repeats at +10 % do not outweigh one run at -2 %; signed errors may cancel, absolute ones do not."""
    scores = [scored("a", 100, 110, run=f"a{index}") for index in range(3)] + [scored("b", 100, 98)]
    found = errors_of(scores)
    assert (found.runs, found.readings) == (2, 4)
    assert found.median == pytest.approx(0.06)
    assert found.bias == pytest.approx(0.04)
    opposite = [scored("a", 100, 110, run="a1"), scored("a", 100, 90, run="a2")]
    assert [(run.absolute, run.signed) for run in distinct(opposite)] == [(pytest.approx(0.1), pytest.approx(0.0))]


def test_all_numbers_of_a_group() -> None:
    """Errors of 0, 2, 6 and -20 percent, worked out by hand."""
    found = errors_of([scored(name, 100, 100 + error) for name, error in zip("abcd", (0, 2, 6, -20), strict=True)])
    assert found.median == pytest.approx(0.04)
    assert found.p90 == pytest.approx(0.06 + 0.7 * 0.14)
    assert found.p95 == pytest.approx(0.06 + 0.85 * 0.14)
    assert found.worst == pytest.approx(0.20)
    assert found.bias == pytest.approx(-0.03)
    assert (found.within_5, found.within_10, found.inside) == (0.5, 0.75, 0.25)


def test_an_interval_is_scored_by_its_distance() -> None:
    inside, below, above = (scored("a", 100, low, high) for low, high in ((90, 120), (50, 80), (130, 150)))
    assert (inside.error, below.error, above.error) == (0.0, pytest.approx(-0.2), pytest.approx(0.3))
    assert inside.width == pytest.approx(0.3)


def test_metrics_and_open_runs_are_never_mixed() -> None:
    scores = [
        scored("a", 100, 100),
        scored("b", 100, 150, metric="device"),
        scored("c", 100, 90, 110, complete=False),
    ]
    every = {(group.metric, group.complete): group.errors.runs for group in groups(scores, "both") if group.by == "all"}
    assert every == {("allocated", True): 1, ("device", True): 1, ("allocated", False): 1}


def test_the_worst_are_distinct_runs_in_order() -> None:
    scores = [scored("a", 100, 130, run="a1"), scored("a", 100, 140, run="a2"), scored("b", 100, 65)]
    assert [score.run.run for score in worst(scores, 2)] == ["a2", "b"]


def test_the_halves_never_change() -> None:
    """The rule: the lowest bit of the first byte of the SHA-256 (here by sha256sum: ca978112…, 3e23e816…)."""
    assert half_of("a") == "development"
    assert half_of("b") == "development"
    assert {half_of(f"run {index}") for index in range(20)} == {"development", "held-out"}
