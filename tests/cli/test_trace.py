"""`toolkit trace` from the outside: what it prints and keeps, and what it refuses."""

from __future__ import annotations

import json
import re
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.cli.command import run
from toolkit.cli import trace as command
from toolkit.memory.trace.stack.environment import Environment

SCENARIO = """\
model: Qwen/Qwen2.5-0.5B
method: {method}
weights: {weights}
amp: false
batch_size: 1
sequence_length: 64
generated_length: 0
{gpu}
stack: {{trainer: transformers}}
"""
traces = pytest.mark.skipif(find_spec("torch") is None, reason="needs the extra `trace`")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder: Path, *, method: str = "inference", weights: str = "bf16", gpu: str = "gpu: T4") -> None:
    (folder / "one.yaml").write_text(SCENARIO.format(method=method, weights=weights, gpu=gpu))


def test_what_is_not_installed_is_named(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder)
    monkeypatch.setattr(command, "find_spec", lambda name: None if name == "torch" else name)
    ran = run(capsys, "trace", "one.yaml")
    assert (ran.code, ran.out) == (2, "")
    assert "torch not installed: pip install 'vram-toolkit[trace]'" in ran.err


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "find_spec", lambda name: name)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["no-such.yaml"], "there is no scenario to trace"),
        (["one.yaml", "--scenario", "other"], "there is no scenario to trace"),
        (["one.yaml", "--jobs", "0"], "must be at least 1"),
        (["one.yaml", "--solve", "rank"], "invalid choice: 'rank'"),
        (["one.yaml", "--sweep", "rank=1..8"], "'rank=1..8' is not FIELD=1,2,4 or FIELD=1..8"),
        (["one.yaml", "--sweep", "batch_size=8..1"], "'batch_size=8..1' has no values from 1 upwards"),
        (["one.yaml", "--sweep", "batch_size=0,1"], "'batch_size=0,1' has no values from 1 upwards"),
        (["one.yaml", "--sweep", "batch_size=1..999999999"], "has more than 10,000 values"),
        (["one.yaml", "--stack", "transformers==4.46.3,-e=="], "'-e==' is not NAME==VERSION"),
        (["one.yaml", "--stack", "peft==0.13.2\x1b[2J"], "'peft==0.13.2\\x1b[2J' is not NAME==VERSION"),
        (["one.yaml", "--stack", "transformers==4.46.3", "--solve", "batch_size"], "not with --stack"),
        ([], "the following arguments are required: SPEC"),
    ],
)
def test_wrong_use_is_told(folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str) -> None:
    write(folder)
    ran = run(capsys, "trace", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err


@traces
@pytest.mark.reference
@pytest.mark.parametrize(
    ("gpu", "arguments", "said"),
    [("", [], "names no GPU: say which with --gpu"), ("", ["--gpu", "T44\x1b[2J"], "no GPU is known as 'T44\\x1b[2J'")],
)
def test_a_card_has_to_be_known_to_solve(
    folder: Path, capsys: pytest.CaptureFixture[str], gpu: str, arguments: list[str], said: str
) -> None:
    write(folder, gpu=gpu)
    ran = run(capsys, "trace", "one.yaml", "--solve", "batch_size", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err.replace("\\\\", "\\")


def test_what_is_traced_is_listed_without_torch(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "find_spec", lambda _: None)
    ran = run(capsys, "trace", "--covered", "--color", "never")
    assert ran.code == 0, ran.err
    assert "gradient_checkpointing: false; reentrant; non-reentrant\n" in ran.out
    assert re.search(r"not zero3 +zero3 on several GPUs is not traced yet\n", ran.out)
    assert re.search(r"not Qwen/Qwen-7B +transformers has no model type 'qwen'\n", ran.out)
    listed = json.loads(run(capsys, "trace", "--covered", "--format", "json").out)["covered"]
    assert ran.out.endswith(f"{sum(one['traced'] for one in listed)} of {len(listed)} are traced\n")
    assert {"field": "optimizer", "value": "sgd, fused", "traced": True, "reason": None} in listed


@traces
@pytest.mark.reference
def test_formulas_stand_beside_a_trace(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder)
    ran = run(capsys, "trace", "one.yaml", "--formulas", "--color", "never")
    assert ran.code == 0, ran.err
    [weights, *_] = (text.split() for text in ran.out.splitlines() if text.split()[:2] == ["prefill", "weights"])
    seen, computed, gap = (int(text.replace(",", "")) for text in weights[2:5])
    assert gap == computed - seen
    assert computed == pytest.approx(seen, rel=1e-4)
    [one, *_] = json.loads(run(capsys, "trace", "one.yaml", "--formulas", "--format", "json").out)["traces"]
    totals = {phase["phase"]: phase["total"] for phase in one["computed"]}
    for phase in one["phases"]:
        assert totals[phase["phase"]] == pytest.approx(phase["total"], rel=0.001)


SWEEP = ("--sweep", "batch_size=1..4", "--sweep", "sequence_length=64,96")


@traces
@pytest.mark.reference
def test_a_sweep_prints_every_size(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder)
    ran = run(capsys, "trace", "one.yaml", *SWEEP, "--color", "never")
    assert ran.code == 0, ran.err
    assert ran.out.count("fits on T4") % 8 == 0
    assert "proven at" in ran.out
    [first, *_] = json.loads(run(capsys, "trace", "one.yaml", *SWEEP, "--format", "json").out)["swept"]
    sizes = {(one["batch_size"], one["sequence_length"]): one["allocated"] for one in first["sizes"]}
    assert sorted(sizes) == [(batch, length) for batch in (1, 2, 3, 4) for length in (64, 96)]
    traced = json.loads(run(capsys, "trace", "one.yaml", "--format", "json").out)["traces"]
    assert sizes[1, 64] in {one["peak"]["allocated"] for one in traced}


@traces
@pytest.mark.reference
def test_a_trace_is_printed_and_kept(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder)
    ran = run(capsys, "trace", "one.yaml", "--write", "--color", "never")
    assert ran.code == 0, ran.err
    assert "tracing 3 of 24 layers" in ran.err
    assert "traced    24 layers from 3, 4, 5, 6" in ran.out
    assert "fits on T4" in ran.out
    kept = list((folder / "evidence").iterdir())
    assert all(path.name.startswith("traced-one-") for path in kept)
    again = run(capsys, "trace", "one.yaml", "--write", "--format", "json")
    assert sorted(path.name for path in (folder / "evidence").iterdir()) == sorted(path.name for path in kept)
    printed = json.loads(again.out)["traces"]
    assert [record["peak"]["card"]["verdict"] for record in printed] == ["fits"] * len(kept)


@traces
@pytest.mark.reference
def test_every_layer_is_traced_when_asked_for(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder)
    few, whole = (
        json.loads(run(capsys, "trace", "one.yaml", "--format", "json", *more).out)["traces"]
        for more in ([], ["--whole"])
    )
    assert [one["made"]["traced"] for one in whole] == ["every layer"] * len(whole)
    assert [one["phases"] for one in few] == [one["phases"] for one in whole]
    assert [one["peak"] for one in few] == [one["peak"] for one in whole]


@traces
@pytest.mark.reference
def test_what_cannot_be_traced_or_kept_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder)
    (folder / "evidence").write_text("a file where the folder would be")
    ran = run(capsys, "trace", "one.yaml", "--write")
    assert ran.code == 2
    assert "could not be written" in ran.err


@traces
@pytest.mark.reference
def test_what_is_broken_off_leaves_whole_records_only(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "trace_text", interrupted)
    assert run(capsys, "trace", "one.yaml", "--write").code == 130
    assert not (folder / "evidence").exists() or not list((folder / "evidence").glob("*.tmp"))


def test_an_environment_that_cannot_be_made_is_told(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder)
    monkeypatch.setattr(command, "environment", lambda stack, _: f"pip failed: ERROR: no {stack}\x1b[2J")
    ran = run(capsys, "trace", "one.yaml", "--stack", "transformers==4.46.3")
    assert (ran.code, ran.out) == (2, "")
    assert "pip failed: ERROR: no transformers==4.46.3\\x1b[2J" in ran.err


@traces
@pytest.mark.reference
def test_a_stack_of_this_environment_prints_what_this_environment_does(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder)
    monkeypatch.setattr(command, "environment", lambda stack, _: Environment(stack, Path(sys.executable)))
    here, apart = (
        json.loads(run(capsys, "trace", "one.yaml", "--format", "json", *more).out)["traces"]
        for more in ([], ["--stack", "transformers==4.46.3"])
    )
    assert [(one["identity"], one["peak"], one["libraries"]) for one in apart] == [
        (one["identity"], one["peak"], one["libraries"]) for one in here
    ]
