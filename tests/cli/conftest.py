"""A small repository to check."""

from pathlib import Path

import pytest

from tests.checks.build import written

DOCUMENT = "# Sums\n\nThe first sum is 11 + 11 = {first}.\nThe second sum is 22 + 22 = 44.\nSums are easy.\n"
SPEC = """document: document.md
claims:
  - {{quantity: arithmetic, quote: "first sum is {{11 + 11 = 22}}."{more}}}
  - {{quantity: arithmetic, quote: "second sum is {{22 + 22 = 44}}."}}
  - {{quantity: quality, quote: "Sums are {{easy}}.", unchecked: "nobody has measured it"}}
"""


class Repository:
    """A folder with one spec; the working folder of the test."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.folder = path / "specs" / "sums"
        self.folder.mkdir(parents=True)

    def write(self, *, first: int = 22, more: str = "") -> None:
        (self.folder / "document.md").write_text(DOCUMENT.format(first=first), encoding="utf-8")
        (self.folder / "claims.yaml").write_text(SPEC.format(more=more), encoding="utf-8")


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    monkeypatch.chdir(tmp_path)
    made = Repository(tmp_path)
    made.write()
    return made


MOVED = """document: guide.md
claims:
  - {quantity: arithmetic, quote: "sum is {1 + 1 = 2}.", under: Here}  # a comment
"""
GUIDE = "# Guide\n\n## Here\n\nNothing.\n\n## There\n\nThe sum is 1 + 1 = 2.\n"
"""A spec whose quote has moved in its guide from under one heading to under another."""


@pytest.fixture
def fixable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a spec that can be fixed; the working folder of the test is the one above."""
    monkeypatch.chdir(tmp_path)
    return written(tmp_path / "specs", MOVED, GUIDE)
