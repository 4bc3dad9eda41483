"""A draft goes below `specs/`, in the folders of its document, and names it from there."""

from pathlib import Path

import pytest

from toolkit.documents.draft.target import DraftPlace, place_of_draft
from toolkit.finding import Finding


@pytest.mark.parametrize(
    ("document", "path", "way", "slug"),
    [
        ("README.md", "specs/README.claims.yaml", "../README.md", None),
        ("docs/guide.md", "specs/docs/guide.claims.yaml", "../../docs/guide.md", "docs-guide"),
        (
            "specs/documents/a/document.md",
            "specs/documents/a/document.claims.yaml",
            "document.md",
            "specs-documents-a-document",
        ),
    ],
)
def test_the_usual_place(tmp_path: Path, document: str, path: str, way: str, slug: str | None) -> None:
    assert place_of_draft(tmp_path / document, tmp_path, None) == DraftPlace(tmp_path / path, way, slug)


def test_a_place_of_ones_own(tmp_path: Path) -> None:
    found = place_of_draft(tmp_path / "docs" / "a.md", tmp_path, tmp_path / "x.claims.yaml")
    assert found == DraftPlace(tmp_path / "x.claims.yaml", "docs/a.md", None)


def test_outside_of_what_is_checked_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "docs").mkdir(parents=True)
    assert isinstance(place_of_draft(root / "a.md", root, tmp_path / "x.claims.yaml"), Finding)
    (root / "away").symlink_to(tmp_path)
    assert isinstance(place_of_draft(root / "a.md", root, root / "away" / "x.claims.yaml"), Finding)


def test_a_document_that_no_spec_can_name_is_refused(tmp_path: Path) -> None:
    assert isinstance(place_of_draft(tmp_path / "a\\b.md", tmp_path, None), Finding)


def test_a_spec_is_a_yaml_file(tmp_path: Path) -> None:
    assert isinstance(place_of_draft(tmp_path / "a.md", tmp_path, tmp_path / "a.md"), Finding)
