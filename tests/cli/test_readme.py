"""What the README says is so: its commands exist, its output is the real one, its links lead somewhere."""

import re
import shlex
from pathlib import Path

import pytest

from tests.cli.command import REPOSITORY, run
from toolkit.cli.main import COMMANDS

README = REPOSITORY / "README.md"
BLOCK = re.compile(r"(<!-- output: toolkit (?P<command>[^\n]*) -->\n```text\n)(?P<text>.*?)(?=```\n)", re.DOTALL)
CUT = "…\n"
HOW = "if that is meant: pytest tests/cli/test_readme.py --update-golden"
MAKE = re.compile(r"(?:`|^)make ([a-z]+)", re.MULTILINE)


@pytest.fixture(autouse=True)
def _folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)


def pieces(output: str) -> list[str]:
    """The output in pieces: a claim with its details is one."""
    return re.split(r"\n(?=\S)", output.rstrip("\n"))


def subject(piece: str) -> str:
    """What a piece is about, whatever its place and verdict."""
    head = piece.split("\n", 1)[0]
    if re.match(r"[0-9,]+ claims? in ", head):
        return "the summary"
    return head.split(": ", 2)[-1]


def renewed(shown: str, output: str) -> str:
    """The shown pieces as they are now."""
    now: dict[str, str] = {}
    for piece in pieces(output):
        now.setdefault(subject(piece), piece)
    return CUT.join(now[subject(piece)] + "\n" for piece in shown.split(CUT))


def test_output_is_the_real_one(capsys: pytest.CaptureFixture[str], update_golden: bool) -> None:
    text = README.read_text("utf-8")
    blocks = list(BLOCK.finditer(text))
    assert blocks
    for block in blocks:
        output = run(capsys, *shlex.split(block["command"])).out
        if update_golden:
            text = text.replace(block["text"], renewed(block["text"], output))
            README.write_text(text, encoding="utf-8", newline="\n")
            continue
        for piece in block["text"].split(CUT):
            assert piece.rstrip("\n") in pieces(output), HOW


def test_commands_exist(capsys: pytest.CaptureFixture[str]) -> None:
    text = README.read_text("utf-8")
    assert set(re.findall(r"\| `toolkit ([a-z]+)", text)) == set(COMMANDS)
    for command in re.findall(r"^toolkit ([^\n]*)$", text, re.MULTILINE):
        name, *arguments = shlex.split(command)
        shown = run(capsys, name, "--help").out
        for flag in (argument for argument in arguments if argument.startswith("--")):
            assert flag in shown
    for verdict in ("explain D201", 'estimate --model Qwen/Qwen2.5-Coder-7B --method qlora --gpu "RTX 4090"'):
        assert run(capsys, *shlex.split(verdict)).code == 0


def test_make_targets_exist() -> None:
    makefile = (REPOSITORY / "Makefile").read_text("utf-8")
    wanted = set(MAKE.findall(README.read_text("utf-8"))) | set(
        re.findall(
            r"^make --no-print-directory ([a-z]+)",
            (REPOSITORY / ".ci" / "run").read_text("utf-8"),
            re.MULTILINE,
        )
    )
    assert {"check", "test", "lint"} <= wanted
    for target in wanted:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


def test_comments_in_documents_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = re.search(r"```markdown\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    assert shown is not None
    (tmp_path / "guide.md").write_text(shown[1], encoding="utf-8")
    spec = """document: guide.md
marks: true
scenarios:
  qlora: {model: Qwen/Qwen2.5-Coder-7B, method: qlora, weights: nf4, batch_size: 1, sequence_length: 512}
claims:
  - {quantity: peak_memory, scenario: qlora, quote: "it was {94 GB}."}
"""
    (tmp_path / "claims.yaml").write_text(spec, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    ran = run(capsys, "check", "claims.yaml")
    assert "D2" not in ran.out
    assert "M301 disagrees (ignored)" in ran.out
    assert "2 claims in 1 document" in ran.out
    assert "1 claim ignored by comments in documents" in ran.out


def test_links_lead_to_files() -> None:
    for target in re.findall(r"\]\(([^)]+)\)", README.read_text("utf-8")):
        assert (REPOSITORY / target).exists(), target


def test_readme_is_short() -> None:
    assert len(README.read_text("utf-8").splitlines()) < 150


def test_versions_are_said_once() -> None:
    constraints = (REPOSITORY / "constraints.txt").read_text("utf-8").splitlines()
    pins = [one for one in constraints if not one.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9A-Za-z.]*", pin) for pin in pins)
    assert len({pin.partition("==")[0].lower() for pin in pins}) == len(pins)


def test_packaged_files_are_beside_the_code() -> None:
    package = REPOSITORY / "toolkit"
    for name in ("spec/spec.schema.json", "facts/data/gpus.json", "facts/data/model_ids.json"):
        assert (package / name).is_file()
    ignored = (REPOSITORY / ".gitignore").read_text("utf-8").splitlines()
    assert not [line for line in ignored if line.strip("/").startswith("toolkit")]


def test_hook_and_action_run_the_command() -> None:
    hook = (REPOSITORY / ".pre-commit-hooks.yaml").read_text("utf-8")
    assert "id: toolkit-check" in hook
    assert "entry: toolkit check" in hook
    assert "pass_filenames: false" in hook
    action = (REPOSITORY / "action.yml").read_text("utf-8")
    script = action.split("runs:", 1)[1]
    # An input that stands in a script is code of whoever sets it.
    assert not re.search(r"run: \|(?:\n {8}[^\n]*)*\$\{\{", script)
    assert "--format github" in script
    assert Path(REPOSITORY, ".ci", "run").stat().st_mode & 0o111
