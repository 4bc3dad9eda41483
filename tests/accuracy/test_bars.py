"""Which sources miss a bar, on sets made by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.accuracy.build import scored
from toolkit.accuracy.bars import Miss, is_alone, misses
from toolkit.accuracy.score import Score, Scores
from toolkit.accuracy.table import table
from toolkit.report.accuracy_text import accuracy_text
from toolkit.spec import scenario_from_flags


def _only(*scores: Score) -> Miss:
    [found] = misses(Scores(scores))
    return found


def test_live_tensors_are_held_to_a_median_and_to_a_tail() -> None:
    """By hand: 2, 2 and 4 % have a median of 2 %; 4, 4 and 2 % one of 4 %; one run in three at 12 % is a tail."""
    assert not misses(Scores(tuple(scored(name, 100, 100 + off) for name, off in zip("abc", (2, 2, 4), strict=True))))
    above = _only(*(scored(name, 100, 100 + off) for name, off in zip("abc", (4, 4, 2), strict=True)))
    assert (above.over, above.errors.runs) == (("median",), 3)
    assert _only(*(scored(name, 100, 100 + off) for name, off in zip("abc", (1, 1, 12), strict=True))).over == ("p95",)


def test_an_interval_has_to_hold_the_reading_and_to_be_narrow() -> None:
    """A reading of 100 within 12 to either side; one of two outside is more than one in ten."""
    assert not misses(Scores((scored("a", 100, 88, 112, metric="reserved", complete=True),)))
    assert _only(scored("a", 100, 88, 113, metric="reserved", complete=True)).over == ("width",)
    outside = scored("a", 100, 101, 104, metric="reserved", complete=True)
    assert _only(outside, scored("b", 100, 99, 104, metric="reserved", complete=True)).over == ("outside",)


def test_open_runs_and_lower_grades_have_no_bar() -> None:
    assert not misses(Scores((scored("a", 100, 150, 160, complete=False),)))


def test_the_report_says_which_and_why() -> None:
    def shown(**causes: tuple[str, ...]) -> str:
        return accuracy_text(replace(table(Scores((scored("a", 100, 150),), causes=causes)), worst=()))

    row = next(line for line in shown(source=("A loop that nobody published.",)).splitlines() if "nobody" in line)
    assert "50.00% *" in row
    assert "none found yet" in shown()


@pytest.mark.parametrize(
    ("flags", "alone"),
    [
        ({}, True),
        ({"parallel.gpus": "2", "parallel.strategy": "ddp"}, False),
        ({"parallel.gpus": "1", "parallel.tensor_parallel": "4"}, False),
    ],
)
def test_layers_that_are_split_are_on_several_gpus(flags: dict[str, str], alone: bool) -> None:
    scenario, _ = scenario_from_flags({"model": "openai-community/gpt2", "method": "full", **flags}, Path())
    assert scenario is not None
    assert is_alone(scenario) is alone
