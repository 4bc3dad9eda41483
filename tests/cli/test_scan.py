"""`toolkit scan`, and `toolkit check` of a Markdown file."""

import json
import os
from pathlib import Path

import pytest

from tests.cli.command import run, spawn

FALSE = "# Card\n\nWe use an RTX 4080 (12GB).\nTraining needs ~18 GB of VRAM.\n"
TRUE = "# Card\n\nWe use an RTX 4080 (16GB).\nTraining needs ~18 GB of VRAM.\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "false.md").write_text(FALSE, encoding="utf-8")
    (tmp_path / "true.md").write_text(TRUE, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(("command", "name", "code"), [
    ("scan", "false.md", 1), ("check", "false.md", 1), ("scan", "true.md", 0), ("check", "true.md", 0),
])  # fmt: skip
def test_a_false_statement_gates(capsys: pytest.CaptureFixture[str], command: str, name: str, code: int) -> None:
    ran = run(capsys, command, name)
    assert ran.code == code
    assert (f"{name}:3:21: M309 disagrees" in ran.out) is bool(code)


def test_check_shows_what_is_false_and_scan_everything(capsys: pytest.CaptureFixture[str]) -> None:
    assert "18 GB" not in run(capsys, "check", "false.md").out
    assert "18 GB" in run(capsys, "check", "--verbose", "false.md").out
    assert "18 GB" in run(capsys, "scan", "false.md").out


@pytest.mark.parametrize("command", ["scan", "check"])
def test_json_has_the_keys_that_others_rely_on(capsys: pytest.CaptureFixture[str], command: str) -> None:
    said = json.loads(run(capsys, command, "false.md", "--format", "json").out)
    card, need = said["claims"]
    assert {"line", "column", "quote", "quantity", "low", "high", "unit", "hedge", "verdict", "reason"} <= set(card)
    assert (card["document"], card["line"], card["column"], card["quantity"]) == ("false.md", 3, 21, "gpu_memory")
    assert card["verdict"] == "disagrees"
    assert (need["low"], need["high"], need["unit"], need["hedge"]) == (18, 18, "GB", "~")
    assert need["quote"] == "Training needs ~18 GB of VRAM."
    assert said["counts"]["disagrees"] == 1


def test_github_marks_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    out = run(capsys, "check", "false.md", "--format", "github").out
    assert out.startswith("::error file=false.md,line=3,col=21,endLine=3,endColumn=25,title=M309::")


def test_folders_are_searched(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    (folder / "docs" / "deep").mkdir(parents=True)
    (folder / "docs" / "deep" / "guide.markdown").write_text(TRUE, encoding="utf-8")
    (folder / ".hidden").mkdir()
    (folder / ".hidden" / "guide.md").write_text(FALSE, encoding="utf-8")
    ran = run(capsys, "scan", "docs", ".")
    assert "docs/deep/guide.markdown:3:21" in ran.out
    assert ".hidden" not in ran.out
    assert "in 3 documents" in ran.out


def test_documents_that_differ_are_shown_and_do_not_gate(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    (folder / "docs").mkdir()
    for name, figure in (("a.md", 14), ("b.md", 18)):
        said = f"# Guide\n\nFine-tuning Mistral-7B-v0.1 with QLoRA takes {figure} GB of GPU memory on one card.\n"
        (folder / "docs" / name).write_text(said, encoding="utf-8")
    for ran in (run(capsys, "check", "docs"), run(capsys, "scan", "docs/a.md", "docs/b.md")):
        assert ran.code == 0
        assert (
            'docs/b.md:3:46: D214 "18 GB" (peak_memory) is "14 GB" in the same statement at docs/a.md:3:46' in ran.out
        )


def test_a_folder_with_specs_is_checked_by_them(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    (folder / "claims.yaml").write_text("nonsense\n", encoding="utf-8")
    assert "figures in" not in run(capsys, "check", ".").out


def test_a_document_elsewhere_keeps_the_name_it_was_given(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    (folder / "here").mkdir()
    os.chdir(folder / "here")
    assert f"{folder.as_posix()}/false.md:3:21: M309" in run(capsys, "scan", str(folder / "false.md")).out
    assert "../false.md:3:21: M309" in run(capsys, "check", "../false.md").out


@pytest.mark.parametrize("command", ["scan", "check"])
def test_what_cannot_be_read_is_two(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, folder: Path, command: str
) -> None:
    monkeypatch.setattr("toolkit.documents.document.LARGEST_SCANNED", 200)
    (folder / "broken.md").write_bytes(b"needs 24 GB of VRAM\n" * 20)
    ran = run(capsys, command, "broken.md", "true.md")
    assert ran.code == 2
    assert "broken.md:1:1: D205" in ran.out


@pytest.mark.parametrize("data", [b"\xff\xfe", "Größe ".encode("cp1252"), b"\x00\x80", "≈ \u202e".encode()])
def test_bytes_that_are_no_text_hide_no_figure(capsys: pytest.CaptureFixture[str], folder: Path, data: bytes) -> None:
    (folder / "odd.md").write_bytes(b"# Odd\n\nIt " + data + b" needs 24 GB of VRAM.\n")
    ran = run(capsys, "scan", "odd.md", "--format", "json")
    [claim] = json.loads(ran.out)["claims"]
    assert (claim["line"], claim["text"], claim["quantity"]) == (3, "24 GB", "peak_memory")


def test_nothing_there_is_two(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    (folder / "empty").mkdir()
    assert run(capsys, "scan", "nowhere.md").code == 2
    assert run(capsys, "scan", "empty").code == 2
    assert run(capsys, "check", "true.md", "empty").code == 2


def test_a_document_without_figures_is_no_trouble(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    (folder / "plain.md").write_text("# Nothing\n\nNo figures here.\n", encoding="utf-8")
    ran = run(capsys, "check", "plain.md")
    assert ran.code == 0
    assert "nothing here can be judged" in ran.err


def test_a_stranger_steers_no_terminal(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    text = "# A\x1b[31m\n\nNeeds \x1b]0;x\x07 24 GB\u202e of VRAM.\n\n::error::24 GB of VRAM\n"
    (folder / "odd.md").write_text(text, encoding="utf-8")
    for form in ("text", "json", "github"):
        out = run(capsys, "scan", "odd.md", "--format", form, "--color", "never").out
        assert not set(out) & {"\x1b", "\x07", "\u202e"}
        assert not any(line.lstrip().startswith("::error::") for line in out.splitlines())


def test_a_process_of_its_own(folder: Path) -> None:
    ran = spawn("scan", "false.md", cwd=folder)
    assert ran.code == 1
    assert ran.err == ""


def test_a_folder_of_too_many_documents_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    monkeypatch.setattr("toolkit.documents.walk.MAX_FILES", 1)
    ran = run(capsys, "scan", ".")
    assert ran.code == 2
    assert "only its first 1 documents are read" in ran.out
