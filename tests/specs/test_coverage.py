"""The memory figures of the documents of this repository are bound to claims, but for a few that claim nothing."""

from datetime import date

from tests.cli.command import REPOSITORY
from toolkit.checks.coverage import coverages
from toolkit.checks.run import check_paths

TODAY = date(2026, 11, 21)
LEAST = 90


def test_most_figures_are_bound_to_claims() -> None:
    result = check_paths([REPOSITORY / "specs" / "documents"], REPOSITORY, TODAY, coverage=True)
    found = {one.document: one for one in coverages(result)}
    assert len(found) == 5
    assert {name: round(one.share) for name, one in found.items() if one.share < LEAST} == {}
    assert sum(one.counted for one in found.values()) > 200
