"""Each folder under golden/ is a document with its spec and the reports that the toolkit prints about it."""

from datetime import date
from pathlib import Path

import pytest

from toolkit.checks.result import CheckResult
from toolkit.checks.run import check_paths
from toolkit.report.github import check_github
from toolkit.report.json import check_json
from toolkit.report.junit import check_junit
from toolkit.report.sarif import check_sarif
from toolkit.report.text import check_text

GOLDEN = Path(__file__).parent / "golden"
CASES = sorted(path.name for path in GOLDEN.iterdir() if path.is_dir())
TODAY = date(2026, 11, 21)
HOW = "if that is meant, update the files: pytest tests/report --update-golden, and read the difference"


def result_of(case: str) -> CheckResult:
    folder = GOLDEN / case
    return check_paths([folder / "claims.yaml"], folder, TODAY)


def test_there_are_cases() -> None:
    assert {"verdicts", "acknowledged", "lost", "hostile", "mistakes", "many"} <= set(CASES)


@pytest.mark.parametrize("case", CASES)
def test_report_is_as_committed(case: str, update_golden: bool) -> None:
    result = result_of(case)
    reports = {
        "expected.txt": check_text(result, verbose=True),
        "expected.json": check_json(result),
        "expected-github.txt": check_github(result),
        "expected.sarif": check_sarif(result, verbose=True),
        "expected-junit.xml": check_junit(result),
    }
    for name, text in reports.items():
        path = GOLDEN / case / name
        if update_golden:
            path.write_text(text, encoding="utf-8", newline="\n")
        assert path.is_file(), HOW
        assert text == path.read_text("utf-8"), HOW


@pytest.mark.parametrize("case", CASES)
def test_report_is_the_same_every_time(case: str) -> None:
    assert check_json(result_of(case)) == check_json(result_of(case))
