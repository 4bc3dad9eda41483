"""`toolkit trace --readings` and `toolkit accuracy --traced`, with traces made by hand."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.accuracy.build import record
from tests.cli.command import Ran, run
from toolkit.accuracy.traced.lines import FILE, read_lines
from toolkit.cli import trace_readings
from toolkit.evidence.evidence import EvidenceKind
from toolkit.evidence.record import Record, setting_key
from toolkit.memory.trace.many.campaign import Job, Result
from toolkit.memory.trace.stack.environment import Environment
from toolkit.memory.trace.stack.named import NamedStack

GIB = 1 << 30
SOURCE = Path("specs/published/qwen_speed_docs")


def result(job: Job, **libraries: str) -> Result:
    """A trace of 15 GiB."""
    peak = {"phase": "prefill", "operation": "aten::mm", "allocated": 15 * GIB, "blocks": [15 * GIB, 15 * GIB + 512]}
    phase = {"phase": "prefill", "operation": "aten::mm", "categories": {"weights": 15 * GIB}}
    made = {"date": "2026-11-21", "seconds": 0.1, "traced": "every layer", "toolkit": "0"}
    ends = {"reserved": [16 * GIB, 16 * GIB], "device": [17 * GIB, 17 * GIB]}
    setting = setting_key(job.setting)
    made_of = {"torch": "2.13.0", "transformers": "5.23.0", **libraries}
    return Result(
        job, Record(EvidenceKind.TRACED, job.scenario, setting, "0", made_of, None, {**peak, **ends}, (phase,), made)
    )


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> list[NamedStack]:
    """A folder with two runs of one model, and the stacks that environments are asked for."""
    monkeypatch.chdir(tmp_path)
    shared = {"task": "inference", "weight_dtype": "bf16", "batch_size": 1, "seq_len": 128, "gen_len": 16}
    more = {"versions": {"transformers": "4.46.0"}, "attn_impl": "sdpa", "model": "Qwen/Qwen2.5-7B-Instruct"}
    records = [
        record(**shared, **more, id=name, config_id=f"qwen2.5-{name}", value_bytes=15 * GIB, compute_dtype="bfloat16")
        for name in ("a", "b")
    ]
    Path("qwen_speed_docs.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in records), encoding="utf-8")
    assert run(capsys, "readings", "qwen_speed_docs.jsonl", "--out", "specs/published").code == 0
    stacks: list[NamedStack] = []

    def made(stack: NamedStack, _: Callable[[str], None]) -> Environment | str:
        stacks.append(stack)
        return Environment(stack, Path("python"))

    def apart(_: Path, jobs: list[Job], *__: object) -> Iterator[Result]:
        return (result(job, transformers="4.46.0") for job in jobs)

    monkeypatch.setattr(trace_readings, "environment", made)
    monkeypatch.setattr(trace_readings, "traced_apart", apart)
    monkeypatch.setattr(trace_readings, "traced", lambda jobs, *_: (result(job) for job in jobs))
    return stacks


def retraced(capsys: pytest.CaptureFixture[str], *more: str) -> Ran:
    return run(capsys, "trace", "specs/published", "--readings", "stated", *more)


def test_traces_are_kept_and_shown(asked: list[NamedStack], capsys: pytest.CaptureFixture[str]) -> None:
    assert "have no kept trace" in run(capsys, "accuracy", "--traced").out
    assert "16,106,127,360 traced, 16,106,127,360 read" in retraced(capsys).out
    assert not (SOURCE / FILE).exists()
    ran = retraced(capsys, "--write")
    assert ran.code == 0, ran.err
    assert [str(stack) for stack in asked] == ["transformers==4.46.0"] * 2
    (line,) = read_lines(SOURCE)
    assert (line.asked, line.blocks) == ({"transformers": "4.46.0"}, (15 * GIB, 15 * GIB + 512))
    told = json.loads(run(capsys, "accuracy", "--traced", "--format", "json").out)
    (column,) = told["columns"]
    assert (column["kind"], column["method"], column["errors"]["readings"]) == ("like for like", "inference", 2)
    assert column["errors"]["worst"] == 0.0
    assert told["stacks"] == [{"stack": "transformers 4.46.0", "traces": 1}]


@pytest.mark.skipif(find_spec("torch") is None, reason="traces in this environment: needs the extra `trace`")
def test_what_is_installed_is_kept_beside_what_is_stated(
    asked: list[NamedStack], capsys: pytest.CaptureFixture[str]
) -> None:
    assert retraced(capsys, "--write").code == 0
    assert run(capsys, "trace", "specs/published", "--readings", "installed", "--write").code == 0
    assert sorted(bool(line.asked) for line in read_lines(SOURCE)) == [False, True]
    assert "every reading has its trace" in retraced(capsys, "--missing").err
    table = run(capsys, "accuracy", "--traced").out
    assert "installed releases" in table
    assert "4.46.0" in table
    assert "| installed releases |" in run(capsys, "accuracy", "--traced", "--format", "markdown").out


def test_a_trace_of_what_a_record_said_before_is_not_kept(
    asked: list[NamedStack], capsys: pytest.CaptureFixture[str]
) -> None:
    assert retraced(capsys, "--write").code == 0
    (before,) = read_lines(SOURCE)
    readings = SOURCE / "readings.jsonl"
    readings.write_text(readings.read_text("utf-8").replace('"sequence_length":128', '"sequence_length":256'), "utf-8")
    assert "2 runs have no kept trace" in run(capsys, "accuracy", "--traced").out
    assert retraced(capsys, "--missing", "--write").code == 0
    (after,) = read_lines(SOURCE)
    assert after.of != before.of


def test_a_stack_that_cannot_be_made_is_the_reason(
    asked: list[NamedStack], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trace_readings, "environment", lambda *_: "pip failed: no such release")
    assert "pip failed" in retraced(capsys, "--write").out
    table = json.loads(run(capsys, "accuracy", "--traced", "--format", "json").out)
    assert [one["reason"] for one in table["not_traced"]] == ["pip failed: no such release"]
    assert not table["columns"]


def test_errors_of_traces_may_only_shrink(asked: list[NamedStack], capsys: pytest.CaptureFixture[str]) -> None:
    assert retraced(capsys, "--write").code == 0
    assert run(capsys, "accuracy", "--traced", "--refresh").code == 0
    assert run(capsys, "accuracy", "--traced", "--check").code == 0
    (SOURCE / FILE).unlink()
    ran = run(capsys, "accuracy", "--traced", "--check")
    assert ran.code == 1
    assert "2 readings are no longer estimated" in ran.err


def test_a_broken_file_of_traces_is_told(asked: list[NamedStack], capsys: pytest.CaptureFixture[str]) -> None:
    (SOURCE / FILE).write_text("{\n", "utf-8")
    for arguments in (("accuracy", "--traced"), ("trace", "specs/published", "--readings", "stated")):
        ran = run(capsys, *arguments)
        assert ran.code == 2
        assert "traced.jsonl:1: no line of a trace" in ran.err
        assert "Traceback" not in ran.err
