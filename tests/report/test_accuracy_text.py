"""The table of errors as readers see it."""

from __future__ import annotations

from toolkit.accuracy.score import DEVELOPMENT, HELD_OUT
from toolkit.accuracy.statistics import Errors, Group
from toolkit.accuracy.table import BOTH, Table
from toolkit.report.accuracy_text import accuracy_markdown


def _errors(runs: int, inside: float, width: float) -> Errors:
    return Errors(runs, runs, 0.01, 0.02, 0.03, 0.04, 0.0, 1.0, 1.0, inside, width)


def _cells(*groups: Group) -> dict[str, str]:
    """The only row of the only table of groups, by heading."""
    shown = accuracy_markdown(Table((), (), groups, (), (), runs=9, readings=9, scored=9)).splitlines()
    head = next(number for number, row in enumerate(shown) if row.startswith("| by |"))
    return dict(
        zip(*([cell.strip() for cell in shown[at].strip("|").split("|")] for at in (head, head + 2)), strict=True)
    )


def test_each_half_has_a_column_of_its_own() -> None:
    sizes = {BOTH: 9, DEVELOPMENT: 5, HELD_OUT: 4}
    row = _cells(*(Group("allocated", True, half, "all", "all", _errors(n, 0.0, 0.0)) for half, n in sizes.items()))
    assert row["runs"] == "9"
    assert row["development: runs, median, p95"] == "5, 1.00%, 3.00%"
    assert row["held-out: runs, median, p95"] == "4, 1.00%, 3.00%"


def test_nothing_is_said_to_lie_inside_of_estimates_that_are_one_number() -> None:
    points = _cells(Group("allocated", True, BOTH, "all", "all", _errors(9, 0.0, 0.0)))
    spans = _cells(Group("reserved", True, BOTH, "all", "all", _errors(9, 0.0, 0.25)))
    assert (points["inside"], points["width"]) == ("·", "·")
    assert (spans["inside"], spans["width"]) == ("0%", "25.0%")
    assert points["held-out: runs, median, p95"] == ""
