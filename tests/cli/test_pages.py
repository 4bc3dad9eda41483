"""The command that writes pages: what it lists, what it refuses, and what it says where Jinja is missing."""

import importlib.util
from pathlib import Path

import pytest

from tests.cli.command import run
from tests.cli.conftest import Repository
from toolkit.cli import pages


def test_without_jinja_it_says_what_to_install(
    repository: Repository, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(pages, "find_spec", lambda name: None if name == "jinja2" else found(name))
    ran = run(capsys, "pages")
    assert (ran.code, ran.out) == (2, "")
    assert "pip install 'vram-toolkit[pages]'" in ran.err
    assert not Path("build").exists()


class TestWithJinja:
    @pytest.fixture(autouse=True)
    def needed(self) -> None:
        pytest.importorskip("jinja2", reason="pages need jinja2: pip install 'vram-toolkit[pages]'")

    def test_it_lists_what_it_wrote(self, repository: Repository, capsys: pytest.CaptureFixture[str]) -> None:
        ran = run(capsys, "pages")
        assert ran.code == 0
        listed = {line.removeprefix("wrote ") for line in ran.out.splitlines() if line.startswith("wrote ")}
        out = Path("build") / "docs"
        written = {str(path) for path in out.rglob("*") if path.is_file() and path.name != ".toolkit-pages.json"}
        assert listed == written
        assert "build/docs/documents/sums.md" in listed
        assert run(capsys, "pages").out == f"0 written, 0 removed, {len(listed)} unchanged in build/docs\n"

    def test_claim_that_disagrees_is_no_reason_to_write_nothing(
        self, repository: Repository, capsys: pytest.CaptureFixture[str]
    ) -> None:
        repository.write(first=23)
        assert run(capsys, "pages").code == 0
        assert "✗</span> disagrees" in (Path("build") / "docs" / "documents" / "sums.md").read_text("utf-8")

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (("nowhere",), "nowhere"),
            (("--site", "nowhere"), "--site nowhere is not a folder"),
            (("--root", "nowhere"), "--root nowhere is not a folder"),
            (("--out", "specs/sums"), "overlaps"),
            (("--out", "specs"), "overlaps"),
            (("--out", "mine"), "did not write"),
        ],
    )
    def test_what_it_cannot_do_it_says(
        self, repository: Repository, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
    ) -> None:
        Path("mine").mkdir()
        Path("mine/thesis.md").write_text("mine")
        ran = run(capsys, "pages", *arguments)
        assert (ran.code, ran.out) == (2, "")
        assert said in ran.err
        assert Path("mine/thesis.md").read_text() == "mine"
