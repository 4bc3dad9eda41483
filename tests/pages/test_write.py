"""Pages are written into a folder of their own, whole, and nothing of anybody else's is touched."""

from pathlib import Path

import pytest

pytest.importorskip("jinja2", reason="pages need jinja2")

from tests.pages.build import GOLDEN, pages_of
from toolkit.pages.site import SameNameError
from toolkit.pages.write import MANIFEST, ForeignFolderError, write_tree


def test_only_what_changed_is_written(tmp_path: Path) -> None:
    out = tmp_path / "docs"
    assert write_tree({"a.md": b"1", "b/c.md": b"2"}, out, []).written == ("a.md", "b/c.md")
    stamp = (out / "a.md").stat().st_mtime_ns
    again = write_tree({"a.md": b"1", "b/c.md": b"3"}, out, [])
    assert (again.written, again.unchanged, again.removed) == (("b/c.md",), 1, ())
    assert (out / "a.md").stat().st_mtime_ns == stamp
    assert (out / "b" / "c.md").read_bytes() == b"3"


def test_page_that_is_gone_is_removed_and_nothing_else(tmp_path: Path) -> None:
    out = tmp_path / "docs"
    write_tree({"a.md": b"1", "b/c.md": b"2"}, out, [])
    (out / "mine.txt").write_text("kept")
    assert write_tree({"a.md": b"1"}, out, []).removed == ("b/c.md",)
    assert sorted(path.name for path in out.iterdir()) == [MANIFEST, "a.md", "mine.txt"]


def test_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.md").write_text("mine")
    with pytest.raises(ForeignFolderError, match="did not write"):
        write_tree({"thesis.md": b"ours"}, tmp_path, [])
    assert (tmp_path / "thesis.md").read_text() == "mine"


@pytest.mark.parametrize("out", ["site", "site/inner", "."])
def test_folder_that_overlaps_a_hand_written_one_is_refused(tmp_path: Path, out: str) -> None:
    (tmp_path / "site").mkdir()
    with pytest.raises(ForeignFolderError, match="overlaps"):
        write_tree({"index.md": b"ours"}, tmp_path / out, [tmp_path / "site"])
    assert not list((tmp_path / "site").iterdir())


def test_forged_manifest_removes_nothing_outside(tmp_path: Path) -> None:
    out, victim = tmp_path / "docs", tmp_path / "victim.md"
    victim.write_text("mine")
    write_tree({"a.md": b"1"}, out, [])
    (out / MANIFEST).write_text('{"files": ["../victim.md"]}')
    with pytest.raises(ForeignFolderError, match="outside"):
        write_tree({"a.md": b"1"}, out, [])
    assert victim.read_text() == "mine"


def test_link_inside_the_folder_is_not_followed(tmp_path: Path) -> None:
    out, elsewhere = tmp_path / "docs", tmp_path / "elsewhere"
    elsewhere.mkdir()
    write_tree({"a.md": b"1"}, out, [])
    (out / "models").symlink_to(elsewhere)
    with pytest.raises(ForeignFolderError, match="outside"):
        write_tree({"a.md": b"1", "models/index.md": b"2"}, out, [])
    assert not list(elsewhere.iterdir())


def test_linked_file_is_replaced_not_written_through(tmp_path: Path) -> None:
    out, victim = tmp_path / "docs", tmp_path / "victim.md"
    victim.write_text("mine")
    write_tree({"a.md": b"1"}, out, [])
    (out / "a.md").unlink()
    (out / "a.md").symlink_to(victim)
    write_tree({"a.md": b"2"}, out, [])
    assert (victim.read_text(), (out / "a.md").read_bytes()) == ("mine", b"2")


def test_hand_written_page_is_never_overwritten_by_a_rendered_one(tmp_path: Path) -> None:
    (tmp_path / "guides").mkdir()
    (tmp_path / "guides" / "small.md").write_text("# mine")
    with pytest.raises(SameNameError, match=r"guides/small\.md"):
        pages_of(GOLDEN / "small", tmp_path)


def test_hidden_and_linked_files_are_not_published(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    site = tmp_path / "site"
    (site / ".git").mkdir(parents=True)
    (site / ".git" / "config").write_text("secret")
    (site / "linked.md").symlink_to(secret)
    (site / "page.md").write_text("# A page")
    made = pages_of(GOLDEN / "small", site)
    assert "page.md" in made
    assert not any(b"secret" in content for content in made.values())


def test_index_has_the_counts_where_its_text_wants_them(tmp_path: Path) -> None:
    (tmp_path / "index.md").write_text("# Mine\n\n<!-- toolkit: counts -->\n\nLast words.\n")
    index = pages_of(GOLDEN / "small", tmp_path)["index.md"].decode()
    before, after = index.split("| [A small model](documents/small.md) | 7 | 2 | 1 | 0 | 2 |")
    assert before.startswith("# Mine")
    assert after.rstrip().endswith("Last words.")
