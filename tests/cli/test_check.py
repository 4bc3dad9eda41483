"""`toolkit check`: exit codes, streams, formats, files."""

import json
import sys
from pathlib import Path

import pytest

from tests.cli.command import run, spawn
from tests.cli.conftest import Repository

WRONG = ', acknowledged: {reason: "as in the source"}'


def test_true_claims_do_not_gate(repository: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    ran = run(capsys, "check")
    assert ran.code == 0
    assert ran.err == ""
    assert (
        ran.out == "3 claims in 1 document: 2 agree, 0 disagree (0 acknowledged), 0 depend, 1 unchecked; 0 findings\n"
    )


def test_a_wrong_claim_gates_at_its_line(repository: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    repository.write(first=33)
    ran = run(capsys, "check", "specs/sums/claims.yaml")
    assert ran.code == 1
    assert ran.out.startswith("specs/sums/document.md:3:")
    assert ": A501 disagrees: " in ran.out
    assert "specs/sums/claims.yaml:3:" in ran.out


def test_an_acknowledged_claim_does_not_gate(repository: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    repository.write(first=33, more=WRONG)
    ran = run(capsys, "check")
    assert ran.code == 0
    assert "disagrees (acknowledged)" in ran.out
    assert "1 disagrees (1 acknowledged)" in ran.out


def test_a_needless_acknowledgement_gates(repository: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    repository.write(more=WRONG)
    ran = run(capsys, "check")
    assert ran.code == 1
    assert "K902" in ran.out


def test_a_lost_quote_gates(repository: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    (repository.folder / "document.md").write_text("# Sums\n", encoding="utf-8")
    ran = run(capsys, "check")
    assert ran.code == 1
    assert ran.out.count("D201") == 3


@pytest.mark.parametrize(("verdict", "code"), [("disagrees", 0), ("depends", 0), ("unchecked", 1)])
def test_fail_on(repository: Repository, capsys: pytest.CaptureFixture[str], verdict: str, code: int) -> None:
    assert run(capsys, "check", "--fail-on", verdict).code == code


def test_verbose_shows_every_claim(repository: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    ran = run(capsys, "check", "--verbose")
    assert "agrees: " in ran.out
    assert "unchecked: " in ran.out


def test_json_has_nothing_else_on_stdout(repository: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    repository.write(first=33)
    ran = run(capsys, "check", "--format", "json")
    assert ran.code == 1
    assert [claim["verdict"] for claim in json.loads(ran.out)["claims"]] == [
        "disagrees",
        "agrees",
        "unchecked",
    ]
    assert ran.err == ""


def test_github_has_annotations_on_stdout_and_the_list_in_the_log(
    repository: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    repository.write(first=33)
    ran = run(capsys, "check", "--format", "github")
    assert ran.code == 1
    assert ran.out.startswith("::error file=specs/sums/document.md,line=3,col=")
    assert len(ran.out.splitlines()) == 1
    assert "3 claims in 1 document" in ran.err


def test_output_is_written_whole_and_nothing_is_left_beside(
    repository: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = run(capsys, "check", "--format", "json", "--output", "report.json")
    assert ran.code == 0
    assert ran.out == ""
    assert "3 claims in 1 document" in ran.err
    assert json.loads(Path("report.json").read_text("utf-8"))["counts"]["claims"] == 3
    assert sorted(path.name for path in repository.path.iterdir()) == ["report.json", "specs"]


def test_output_that_cannot_be_written_is_told(repository: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    ran = run(capsys, "check", "--output", "missing/report.txt")
    assert ran.code == 2
    assert "cannot write missing/report.txt: No such file or directory" in ran.err


@pytest.mark.parametrize("share", ["101", "-1", "nan", "most"])
def test_a_coverage_that_is_no_share_is_told(
    repository: Repository, capsys: pytest.CaptureFixture[str], share: str
) -> None:
    ran = run(capsys, "check", f"--min-coverage={share}")
    assert ran.code == 2
    assert f"{share!r} is not a number from 0 to 100" in ran.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["check", "nowhere"], "S111"),
        (["check", "empty"], "S114"),
        (["check", "specs/sums/document.md", "specs"], "by runs of their own"),
        (["check", ".."], "lies outside"),
        (["check", "--root", "nowhere"], "is not a folder"),
        (["check", "--format", "xml"], "invalid choice"),
        (["check", "--fail-on", "sometimes"], "invalid choice"),
        (["chek"], "did you mean check?"),
        (["--verbose"], "unrecognized"),
        ([], "commands:"),
    ],
)
def test_trouble_is_two(
    repository: Repository, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    (repository.path / "empty").mkdir()
    ran = run(capsys, *arguments)
    assert ran.code == 2
    assert said in ran.out + ran.err


def test_no_specs_folder_is_two(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = run(capsys, "check")
    assert ran.code == 2
    assert "no specs" in ran.err


def test_an_unreadable_document_is_two(repository: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    (repository.folder / "document.md").unlink()
    ran = run(capsys, "check")
    assert ran.code == 2
    assert "D205" in ran.out


def test_a_mistake_in_a_spec_is_one_and_other_specs_are_checked(
    repository: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    other = repository.path / "specs" / "other.claims.yaml"
    other.write_text("document: sums/document.md\nclaim: []\n", encoding="utf-8")
    ran = run(capsys, "check")
    assert ran.code == 1
    assert "specs/other.claims.yaml:2:1: S103" in ran.out
    assert "3 claims in 1 document" in ran.out


def test_root_is_the_folder_that_paths_are_shown_from(
    repository: Repository, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.write(first=33)
    monkeypatch.chdir(repository.folder)
    assert run(capsys, "check", ".").out.startswith("document.md:3:")
    assert run(capsys, "check", "--root", "../..").out.startswith("specs/sums/document.md:3:")


def test_colour_is_for_terminals(repository: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    repository.write(first=33)
    assert "\x1b[" not in run(capsys, "check").out
    assert "\x1b[31m" in run(capsys, "check", "--color", "always").out


@pytest.mark.parametrize(
    ("environment", "painted"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_colour_on_a_terminal(
    repository: Repository,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    painted: bool,
) -> None:
    repository.write(first=33)
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert ("\x1b[" in run(capsys, "check").out) is painted


def test_our_bugs_are_two_and_told_as_such(
    repository: Repository, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("\x1b[31m::error::lost")

    monkeypatch.setattr("toolkit.checks.run.check_paths", broken)
    ran = run(capsys, "check")
    assert ran.code == 2
    assert ran.out == ""
    assert "this is a bug of the toolkit" in ran.err
    assert "\x1b" not in ran.err
    assert "Traceback" not in ran.err
    monkeypatch.setenv("TOOLKIT_TRACEBACK", "1")
    assert "Traceback" in run(capsys, "check").err


def test_an_interrupt_is_told_by_its_code(
    repository: Repository, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("toolkit.checks.run.check_paths", interrupted)
    assert run(capsys, "check").code == 130


def test_a_closed_pipe_is_quiet(repository: Repository) -> None:
    import subprocess

    from tests.cli.command import REPOSITORY

    ran = subprocess.run(
        ["bash", "-c", f"'{sys.executable}' -m toolkit explain --all | true; echo ${{PIPESTATUS[0]}}"],
        env={"PYTHONPATH": str(REPOSITORY), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.stderr == ""
    assert ran.stdout.strip() in {"0", "141"}


def test_a_terminal_without_unicode_is_no_trouble(repository: Repository) -> None:
    repository.write(first=33)
    ran = spawn("check", "--verbose", cwd=repository.path, PYTHONIOENCODING="ascii")
    assert ran.code == 1
    assert ran.err == ""


def test_a_document_of_two_specs_is_read_once(
    repository: Repository, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import toolkit.checks.run as checks_run

    second = repository.path / "specs" / "second.claims.yaml"
    second.write_text(
        (repository.folder / "claims.yaml").read_text("utf-8").replace("document.md", "sums/document.md"),
        encoding="utf-8",
    )
    read = []
    original = checks_run.read_document
    monkeypatch.setattr(checks_run, "read_document", lambda path, root: (read.append(path), original(path, root))[1])
    ran = run(capsys, "check")
    assert ran.code == 0
    assert "6 claims in 1 document" in ran.out
    assert len(read) == 1
