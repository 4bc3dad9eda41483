"""Each folder under golden/ is a document with the draft that the toolkit makes of it."""

from datetime import date
from pathlib import Path

import pytest

from toolkit.checks.drafted import JudgedDraft, Target, judged_draft
from toolkit.documents.document import Document, read_document

GOLDEN = Path(__file__).parent / "golden"
CASES = sorted(path.name for path in GOLDEN.iterdir() if path.is_dir())
HOW = "if that is meant, update the files: pytest tests/documents/draft --update-golden, and read the difference"


def draft_of(case: str) -> JudgedDraft:
    folder = GOLDEN / case
    document = read_document(folder / "document.md", folder)
    assert isinstance(document, Document)
    return judged_draft(document, Target(folder / "expected.yaml", folder, "document.md"), date(2026, 11, 21))


def test_there_are_cases() -> None:
    assert {"training", "inference", "broken", "hostile"} <= set(CASES)


@pytest.mark.parametrize("case", CASES)
def test_draft_is_as_committed(case: str, update_golden: bool) -> None:
    found = draft_of(case)
    assert found.findings == ()
    path = GOLDEN / case / "expected.yaml"
    if update_golden:
        path.write_text(found.text, encoding="utf-8", newline="\n")
    assert path.is_file(), HOW
    assert found.text == path.read_text("utf-8"), HOW
