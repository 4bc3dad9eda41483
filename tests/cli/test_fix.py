"""`toolkit fix`: what it repairs, what it leaves alone, and what it says."""

import difflib
import json
import shutil
from pathlib import Path

import pytest

from tests.cli.command import run
from tests.cli.conftest import GUIDE, MOVED

FIXES = Path(__file__).parent / "fixes"
CASES = sorted(path.name for path in FIXES.iterdir() if path.is_dir())
HOW = "if that is meant: pytest tests/cli/test_fix.py --update-golden, and read the difference"


def put(fixable: Path, case: str) -> list[str]:
    shutil.copytree(FIXES / case / "before", fixable, dirs_exist_ok=True)
    flags = FIXES / case / "flags"
    return flags.read_text("utf-8").split() if flags.is_file() else []


@pytest.mark.parametrize("case", CASES)
def test_fixes_are_as_committed(
    case: str, fixable: Path, update_golden: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = put(fixable, case)
    shown = run(capsys, "fix", "--diff", *flags)
    before = {path.name: path.read_bytes() for path in fixable.iterdir()}
    assert before == {path.name: path.read_bytes() for path in (FIXES / case / "before").iterdir()}
    run(capsys, "fix", *flags)
    after = {path.name: path.read_text("utf-8") for path in sorted(fixable.iterdir())}
    golden = FIXES / case / "expected.diff"
    if update_golden:
        golden.write_text(shown.out, encoding="utf-8", newline="\n")
    assert golden.is_file(), HOW
    assert shown.out == golden.read_text("utf-8"), HOW
    assert shown.code == int(bool(shown.out))
    # What was written is what the diff said.
    lines = [
        line
        for name, text in sorted(after.items(), key=lambda item: item[0] != "guide.md")
        for line in difflib.unified_diff(
            before[name].decode().splitlines(), text.splitlines(), f"a/specs/{name}", f"b/specs/{name}", lineterm=""
        )
    ]
    assert shown.out.splitlines() == lines
    # And a second time there is nothing to do.
    again = run(capsys, "fix", "--diff", *flags)
    assert (again.code, again.out) == (0, "")


@pytest.mark.parametrize("case", ["moved", "typography"])
def test_what_is_fixed_binds_again(case: str, fixable: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(fixable, case)
    lost = run(capsys, "check").out.count(" D2")
    left = run(capsys, "fix")
    assert run(capsys, "check").out.count(" D2") == (1 if case == "typography" else 0) < lost
    assert left.code == int(case == "typography")
    assert "fixed" in left.out


def test_comments_order_and_quoting_stay(fixable: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "fix").code == 0
    assert (fixable / "claims.yaml").read_text("utf-8") == MOVED.replace("under: Here", "under: There")
    assert (fixable / "guide.md").read_text("utf-8") == GUIDE


def test_a_diff_names_the_document_as_git_does(fixable: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`git apply` takes no path with "..", which is how a spec beside a folder of documents names one."""
    docs = fixable.parent / "docs"
    docs.mkdir()
    (docs / "guide.md").write_text(GUIDE.replace("= 2", "= 3"), "utf-8")
    spec = MOVED.replace("document: guide.md", "document: ../docs/guide.md").replace("under: Here", "under: There")
    (fixable / "claims.yaml").write_text(spec, "utf-8")
    shown = run(capsys, "fix", "--unsafe-fixes", "--diff").out.splitlines()
    heads = [line for line in shown if line.startswith(("--- ", "+++ "))]
    assert heads == ["--- a/docs/guide.md", "+++ b/docs/guide.md"]


def test_exit_codes_of_a_diff(fixable: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "fix", "--diff").code == 1
    assert (fixable / "claims.yaml").read_text("utf-8") == MOVED
    run(capsys, "fix")
    assert run(capsys, "fix", "--diff").code == 0


def test_what_is_left_gates(fixable: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (fixable / "guide.md").write_text("# Guide\n\nNothing.\n", encoding="utf-8")
    ran = run(capsys, "fix")
    assert ran.code == 1
    assert "nothing to fix" in ran.out
    assert "D206" in ran.out


@pytest.mark.parametrize(
    "arguments", [("specs/guide.md",), ("--acknowledged",), ("nowhere",), ("--root", "nowhere"), ("--format", "github")]
)
def test_trouble(fixable: Path, arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "fix", *arguments).code == 2
    assert (fixable / "claims.yaml").read_text("utf-8") == MOVED


def test_help_says_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    shown = run(capsys, "fix", "--help").out
    assert "with --diff: something would change" in shown


def test_json(fixable: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = json.loads(run(capsys, "fix", "--format", "json").out)
    assert said["written"] is True
    assert said["files"] == ["specs/claims.yaml"]
    assert [(one["line"], one["column"], one["old"], one["new"]) for one in said["fixes"]] == [(3, 65, "Here", "There")]
    assert said["counts"]["findings"] == 0


def test_acknowledged_numbers_change_only_when_asked(fixable: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(fixable, "numbers")
    assert "5." in run(capsys, "fix", "--unsafe-fixes", "--diff").out
    assert "-An acknowledged" not in run(capsys, "fix", "--unsafe-fixes", "--diff").out
    ran = run(capsys, "fix", "--unsafe-fixes", "--acknowledged")
    assert "An acknowledged one: 2 + 2 = 4." in (fixable / "guide.md").read_text("utf-8")
    assert ran.code == 1
    assert "K902" in ran.out  # a person takes the acknowledgement out


def test_a_number_that_another_quote_holds_stays(fixable: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (fixable / "guide.md").write_text("# Guide\n\nThe sum is 1 + 1 = 3 in all.\n", encoding="utf-8")
    (fixable / "claims.yaml").write_text(
        "document: guide.md\nclaims:\n"
        '  - {quantity: arithmetic, quote: "sum is {1 + 1 = 3} in"}\n'
        '  - {quantity: quality, quote: "= 3 {in all}", unchecked: "nobody knows"}\n',
        encoding="utf-8",
    )
    assert run(capsys, "fix", "--unsafe-fixes", "--diff").out == ""
