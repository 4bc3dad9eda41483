"""`toolkit draft`: writes a spec that `toolkit check` takes at once, and nothing over what is there."""

import json
from pathlib import Path

import pytest

from tests.cli.command import run, spawn

GUIDE = """# Qwen2.5-7B on one card

## Inference in bf16

The weights of Qwen2.5-7B take 15.2 GB of memory. It runs in 16 GB of VRAM.

## QLoRA

It takes 90 GB of VRAM at a batch size of 2. It took 3 hours.
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "guide.md").write_text(GUIDE, encoding="utf-8")
    return tmp_path


def test_a_draft_is_checked_at_once(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    ran = run(capsys, "draft", "docs/guide.md")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("specs/docs/guide.claims.yaml: ")
    assert "check it: toolkit check specs/docs/guide.claims.yaml" in ran.out
    text = (folder / "specs" / "docs" / "guide.claims.yaml").read_text("utf-8")
    assert 'document: "../../docs/guide.md"\nslug: docs-guide\n' in text
    checked = run(capsys, "check", "--format", "json")
    said = json.loads(checked.out)
    assert said["findings"] == []
    assert said["counts"]["disagrees"] == 1
    assert checked.code == 1
    (red,) = [claim for claim in said["claims"] if claim["verdict"] == "disagrees"]
    assert (red["line"], red["claimed"]["text"]) == (9, "90 GB")


def test_what_is_there_is_not_written_over(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    there = folder / "specs" / "docs" / "guide.claims.yaml"
    there.parent.mkdir(parents=True)
    there.write_text("mine\n", encoding="utf-8")
    ran = run(capsys, "draft", "docs/guide.md")
    assert ran.code == 2
    assert "is there already; --force writes over it" in ran.err
    assert there.read_text("utf-8") == "mine\n"
    assert run(capsys, "draft", "docs/guide.md", "--force").code == 0
    assert there.read_text("utf-8").startswith("# Drafted")


def test_a_link_that_leads_nowhere_is_not_written_over(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    (folder / "x.claims.yaml").symlink_to(folder / "nothing")
    assert run(capsys, "draft", "docs/guide.md", "--output", "x.claims.yaml").code == 2


def test_another_place(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    assert run(capsys, "draft", "docs/guide.md", "-o", "docs/guide.claims.yaml").code == 0
    assert "\ndocument: guide.md\n" in (folder / "docs" / "guide.claims.yaml").read_text("utf-8")
    assert not (folder / "specs").exists()
    assert sorted(path.name for path in (folder / "docs").iterdir()) == ["guide.claims.yaml", "guide.md"]


def test_another_root(capsys: pytest.CaptureFixture[str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    outside = run(capsys, "draft", "../docs/guide.md")
    assert outside.code == 2
    assert "lies outside" in outside.err
    assert run(capsys, "draft", "../docs/guide.md", "--root", "..").code == 0
    assert (folder / "specs" / "docs" / "guide.claims.yaml").is_file()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"# Nothing\n\nto see here\n", "states nothing about memory that can be bound"),
        (b"needs 24 GB of VRAM \xff\n", "is not UTF-8"),
    ],
)
def test_what_cannot_be_drafted_is_two(
    capsys: pytest.CaptureFixture[str], folder: Path, content: bytes, said: str
) -> None:
    (folder / "other.md").write_bytes(content)
    ran = run(capsys, "draft", "other.md")
    assert ran.code == 2
    assert said in ran.err
    assert not (folder / "specs").exists()


def test_a_place_outside_is_refused(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    ran = run(capsys, "draft", "docs/guide.md", "-o", str(folder.parent / "x.claims.yaml"))
    assert ran.code == 2
    assert "lies outside" in ran.err
    assert not (folder.parent / "x.claims.yaml").exists()


def test_json_has_the_keys_that_others_rely_on(capsys: pytest.CaptureFixture[str]) -> None:
    said = json.loads(run(capsys, "draft", "docs/guide.md", "--format", "json").out)
    assert said["spec"] == "specs/docs/guide.claims.yaml"
    assert {"line", "quantity", "scenario", "question"} == set(said["claims"][0])
    assert said["loose"] == [{"line": 9, "text": "3 hours", "reason": "a time"}]
    assert said["counts"]["disagrees"] == 1


def test_a_draft_that_asks_everything_says_so(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    (folder / "vague.md").write_text("# A\n\nIt needs 24 GB of VRAM.\n", encoding="utf-8")
    ran = run(capsys, "draft", "vague.md")
    assert ran.code == 0
    assert "1 × which model?" in ran.out
    assert "answer its questions first" in ran.err


def test_the_command_itself(folder: Path) -> None:
    ran = spawn("draft", "docs/guide.md", cwd=folder)
    assert ran.code == 0
    assert spawn("check", "specs", cwd=folder).code == 1
