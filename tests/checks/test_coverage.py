"""Which memory figures of a document no claim is bound to."""

import json
from pathlib import Path

import pytest

from tests.checks.build import written
from tests.cli.command import run
from toolkit.checks.coverage import MEMORY
from toolkit.documents.spans import Spans
from toolkit.spec.fields.names import QUANTITIES

GUIDE = """# Memory

QLoRA needs 12 GB of VRAM; full fine-tuning needs 94 GB of VRAM.

| Method | VRAM |
|--------|------|
| LoRA | 28 GB |
| DoRA | 29 GB |

The model has 7B parameters. The sum is 14 GB + 14 GB = 28 GB of GPU memory.
"""
SPEC = """document: guide.md
claims:
  - {quantity: quality, unchecked: x, quote: "QLoRA needs {12 GB} of VRAM"}
  - {table: Memory, quantity: quality, unchecked: x, rows: [LoRA], columns: [VRAM]}
  - {quantity: arithmetic, quote: "sum is {14 GB + 14 GB = 28 GB} of"}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return written(tmp_path / "specs", SPEC, GUIDE)


def test_what_no_claim_is_bound_to_is_listed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = json.loads(run(capsys, "check", "--coverage", "--format", "json").out)["coverage"]
    assert len(said) == 1
    assert said[0]["document"] == "specs/guide.md"
    assert [(one["line"], one["text"]) for one in said[0]["open"]] == [(3, "94 GB"), (8, "29 GB")]
    assert said[0]["covered"] == said[0]["figures"] - 2
    shown = run(capsys, "check", "--coverage").out
    assert shown.count("no claim") == 2
    assert "specs/guide.md:8:10: no claim: 29 GB (peak_memory)" in shown


def test_nobody_looks_unless_asked(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr("toolkit.checks.coverage.scan", fail)
    ran = run(capsys, "check", "--verbose")
    assert ran.code == 0
    assert "memory figures" not in ran.out
    assert "coverage" not in json.loads(run(capsys, "check", "--format", "json").out)


def test_a_minimum_gates(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures = json.loads(run(capsys, "check", "--coverage", "--format", "json").out)["coverage"][0]
    share = 100 * figures["covered"] / figures["figures"]
    assert run(capsys, "check", "--min-coverage", str(int(share))).code == 0
    ran = run(capsys, "check", "--min-coverage", "90")
    assert ran.code == 1
    assert "specs/guide.md:3:" in ran.out
    assert " D210 " in ran.out
    assert ran.out.startswith("specs/guide.md: ")
    assert "no claim:" not in ran.out
    assert "no claim:" in run(capsys, "check", "--min-coverage", "90", "--verbose").out


@pytest.mark.parametrize("share", ["-1", "101", "x", "nan"])
def test_a_minimum_is_a_share(folder: Path, share: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "check", f"--min-coverage={share}").code == 2


def test_a_document_alone_has_no_coverage(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ran = run(capsys, "check", "--coverage", "specs/guide.md")
    assert ran.code == 2
    assert "name the specs" in ran.err


def test_two_specs_cover_together(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "more.claims.yaml").write_text(
        "document: guide.md\nslug: more\nclaims:\n"
        '  - {quantity: quality, unchecked: x, quote: "fine-tuning needs {94 GB}"}\n'
        "  - {table: Memory, quantity: quality, unchecked: x, rows: [DoRA], columns: [VRAM]}\n",
        encoding="utf-8",
    )
    assert run(capsys, "check", "--min-coverage", "100").code == 0


def test_figures_that_a_comment_answers_for_are_not_counted(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = GUIDE.replace("QLoRA needs", '<!-- toolkit: ignore D210 reason="history" -->\nQLoRA needs')
    text = text.replace("| DoRA | 29 GB |\n", "")
    (folder / "guide.md").write_text(text, encoding="utf-8")
    ran = run(capsys, "check", "--coverage", "--min-coverage", "100")
    assert ran.code == 0
    assert "1 ignored by comments" in ran.out


def test_a_comment_that_covers_nothing_is_needless(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = GUIDE.replace("The model", '<!-- toolkit: ignore D210 reason="history" -->\n\nThe model')
    (folder / "guide.md").write_text(text, encoding="utf-8")
    assert run(capsys, "check").code == 0  # nobody looked for figures, so nobody knows
    ran = run(capsys, "check", "--coverage")
    assert ran.code == 1
    assert "D212" in ran.out


def test_the_quantities_are_known() -> None:
    assert set(QUANTITIES) >= MEMORY


def test_spans_meet_where_they_share_a_character() -> None:
    spans = Spans([(10, 20), (5, 12), (30, 31)])
    assert [spans.meet(*piece) for piece in ((0, 5), (4, 6), (19, 25), (20, 25), (29, 40), (31, 32))] == [
        False,
        True,
        True,
        False,
        True,
        False,
    ]
    assert not Spans(()).meet(0, 1)
