"""What `toolkit estimate` prints in answer to questions, as committed."""

from pathlib import Path

import pytest

from tests.cli.command import run

FOLDER = Path(__file__).parent / "questions"
HOW = "if that is meant, update the files: pytest tests/report --update-golden, and read the difference"
CASES = {
    "solve.txt": ("scenario.yaml", "--solve", "batch_size", "--gpu", "RTX 4090"),
    "solve.json": ("scenario.yaml", "--solve", "batch_size", "--gpu", "RTX 4090", "--format", "json"),
    "solve-cards.txt": ("scenario.yaml", "--solve", "sequence_length", "--gpu", "RTX 4060,L4,RTX 4090,H100,B200"),
    "solve-nothing.txt": ("scenario.yaml", "--solve", "batch_size", "--gpu", "RTX 4060"),
    "compare.txt": ("scenario.yaml", "--compare", "gradient_checkpointing=true,batch_size=1"),
    "compare.json": ("scenario.yaml", "--compare", "optimizer=adamw_8bit", "--format", "json"),
    "advise.txt": ("scenario.yaml", "--advise"),
    "printed.txt": ("--from", "axolotl", "config.yml", "--print-scenario"),
    "printed.json": ("--from", "axolotl", "config.yml", "--print-scenario", "--format", "json"),
}


@pytest.mark.parametrize("name", CASES)
def test_report_is_as_committed(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, update_golden: bool
) -> None:
    monkeypatch.chdir(FOLDER)
    ran = run(capsys, "estimate", *CASES[name])
    assert ran.code == 0, ran.err
    path = FOLDER / name
    if update_golden:
        path.write_text(ran.out, encoding="utf-8", newline="\n")
    assert path.is_file(), HOW
    assert ran.out == path.read_text("utf-8"), HOW


def test_there_is_nothing_else() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {"scenario.yaml", "config.yml", *CASES}


def test_colour_is_only_where_it_is_wanted(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FOLDER)
    for name in ("solve.txt", "solve-cards.txt", "solve-nothing.txt", "compare.txt", "advise.txt"):
        plain = run(capsys, "estimate", *CASES[name]).out
        painted = run(capsys, "estimate", *CASES[name], "--color", "always").out
        assert "\x1b[" not in plain
        assert "\x1b[1m" in painted
