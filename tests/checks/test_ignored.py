"""Comments by which a document answers for what disagrees: what they silence, and that they leave a trace."""

import json
from pathlib import Path

import pytest

from tests.checks.build import written
from tests.cli.command import run

SPEC = """document: guide.md
claims:
  - {quantity: arithmetic, quote: "first is {}."}
  - {quantity: arithmetic, quote: "second is {}."}
"""
REASON = 'reason="as in ::error::the source"'
GUIDE = f"""# Guide

<!-- toolkit: ignore A501 {REASON} until=2099-01-01 -->
The first is 1 + 1 = 3.

The second is 2 + 2 = 4.
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return written(tmp_path / "specs", SPEC, GUIDE)


def put(folder: Path, *pairs: tuple[str, str]) -> None:
    text = GUIDE
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    (folder / "guide.md").write_text(text, encoding="utf-8")


def test_what_is_ignored_does_not_gate_and_is_counted(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ran = run(capsys, "check")
    assert ran.code == 0
    assert "A501 disagrees (ignored)" in ran.out
    assert "ignored: as in ::error::the source (until 2099-01-01), says specs/guide.md:3:1" in ran.out
    assert ran.out.endswith("; 1 claim ignored by comments in documents\n")
    said = json.loads(run(capsys, "check", "--format", "json").out)
    assert said["counts"]["ignored"] == 1
    assert said["claims"][0]["ignored"] == {
        "reason": "as in ::error::the source",
        "until": "2099-01-01",
        "path": "specs/guide.md",
        "line": 3,
        "column": 1,
        "end_line": 3,
        "end_column": 82,
    }


def test_what_is_ignored_is_shown_on_the_pull_request(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = run(capsys, "check", "--format", "github").out
    assert len(shown.splitlines()) == 1
    assert shown.startswith("::notice file=specs/guide.md,line=4,")
    assert "disagrees (ignored)" in shown
    assert "%0Aignored: as in ::error::the source" in shown


def test_without_the_comment_it_gates(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(folder, ("<!-- toolkit: ignore", "<!-- ignore"))
    assert run(capsys, "check").code == 1


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("1 + 1 = 3", "1 + 1 = 2", "specs/guide.md:3:1: D212 nothing in line 4 needs to be ignored"),
        ("2099-01-01", "2020-01-01", "specs/guide.md:3:1: D212 this comment ended on 2020-01-01"),
        ("A501", "A501 M301", "specs/guide.md:3:1: D212 nothing with M301 in line 4 needs to be ignored"),
        ("-->\n", "-->\n\nAnother block.\n\n", "specs/guide.md:3:1: D212 nothing in line 5 needs to be ignored"),
        (REASON, "", "specs/guide.md:3:1: D211 a reason is needed"),
    ],
)
def test_a_comment_that_is_wrong_or_needless_gates(
    folder: Path, old: str, new: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    put(folder, (old, new))
    ran = run(capsys, "check")
    assert ran.code == 1
    assert said in ran.out


def test_a_code_alone_is_ignored(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(folder, ("A501", "A502"))
    assert run(capsys, "check").code == 1


def test_an_acknowledged_claim_needs_no_comment(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    acknowledged = SPEC.replace('first is {}."', 'first is {}.", acknowledged: {reason: "so it is"}')
    (folder / "claims.yaml").write_text(acknowledged, encoding="utf-8")
    ran = run(capsys, "check")
    # What the spec answers for, the checks without a spec still find false: the comment is there for them.
    assert ran.code == 0
    assert "ignored by comments" not in ran.out


def test_a_comment_is_not_needless_while_a_quote_is_lost(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(folder, ("The first is 1 + 1 = 3.", "First: 1 + 1 = 2."))
    ran = run(capsys, "check")
    assert ran.code == 1
    assert "D201" in ran.out
    assert "D212" not in ran.out


def test_one_of_two_specs_needs_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "more.claims.yaml").write_text(
        'document: guide.md\nslug: more\nclaims: [{quantity: quality, quote: "The second is {2}", unchecked: x}]\n',
        encoding="utf-8",
    )
    assert run(capsys, "check").code == 0


def test_without_a_spec(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ran = run(capsys, "check", "specs/guide.md")
    assert ran.code == 0
    assert "disagrees (ignored)" in ran.out
    assert "1 figure ignored by comments in documents" in ran.out
    said = json.loads(run(capsys, "scan", "specs/guide.md", "--format", "json").out)
    assert said["counts"]["ignored"] == 1
    shown = run(capsys, "check", "specs/guide.md", "--format", "github").out
    assert shown.startswith("::notice file=specs/guide.md,line=4,")
    put(folder, ("1 + 1 = 3", "1 + 1 = 2"))
    ran = run(capsys, "check", "specs/guide.md")
    assert ran.code == 1
    assert "D212 nothing in line 4 needs to be ignored" in ran.out
    put(folder, ("A501", "M301"))
    ran = run(capsys, "check", "specs/guide.md")
    assert "D212" not in ran.out  # a spec may need it


def test_a_stranger_cannot_ignore_all(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One comment speaks of one block, and of claims alone: not of lost quotes."""
    put(folder, ("The second is 2 + 2 = 4.", "The second was 2 + 2 = 5."), ("A501", "A501 D201"))
    ran = run(capsys, "check")
    assert ran.code == 1
    assert "D201 claim" in ran.out
    assert "D211 D201 is not about what a document states" in ran.out
