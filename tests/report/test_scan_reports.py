"""Each folder under scans/ is a document and what the toolkit finds in it without a spec."""

from pathlib import Path

import pytest

from toolkit.checks.unspecified.run import scan_documents
from toolkit.report.scan import scan_github, scan_json, scan_text

SCANS = Path(__file__).parent / "scans"
CASES = sorted(path.name for path in SCANS.iterdir() if path.is_dir())
HOW = "if that is meant, update the files: pytest tests/report --update-golden, and read the difference"


def test_there_are_cases() -> None:
    assert {"figures", "mojibake", "languages", "hostile"} <= set(CASES)


@pytest.mark.parametrize("case", CASES)
def test_report_is_as_committed(case: str, update_golden: bool) -> None:
    folder = SCANS / case
    result = scan_documents([folder / "document.md"], folder)
    reports = {
        "expected.txt": scan_text(result),
        "expected.json": scan_json(result),
        "expected-github.txt": scan_github(result),
    }
    for name, text in reports.items():
        path = folder / name
        if update_golden:
            path.write_text(text, encoding="utf-8", newline="\n")
        assert path.is_file(), HOW
        assert text == path.read_text("utf-8"), HOW
