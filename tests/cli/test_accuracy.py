"""`toolkit accuracy` and `toolkit readings` on a small source, and what `toolkit check` makes of one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.accuracy.build import record
from tests.cli.command import run


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    """A folder with one converted source: a model that is not known, and a run on one GPU."""
    monkeypatch.chdir(tmp_path)
    shared = {"task": "inference", "weight_dtype": "bf16", "batch_size": 1, "seq_len": 128, "gen_len": 16}
    records = [
        record(**shared, id="1", config_id="qwen2.5-a", value_bytes=15 * 2**30, model="Qwen/Qwen2.5-7B-Instruct"),
        record(**shared, id="2", config_id="qwen2.5-b", value_bytes=15 * 2**30, model="no/such-model"),
    ]
    Path("qwen_speed_docs.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in records), encoding="utf-8")
    assert run(capsys, "readings", "qwen_speed_docs.jsonl", "--out", "specs/published").code == 0
    return tmp_path


def test_the_table_of_a_folder(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ran = run(capsys, "accuracy", "--format", "json")
    assert ran.code == 0
    told = json.loads(ran.out)
    assert told["counts"] == {"runs": 2, "readings": 2, "scored": 1}
    assert told["not_estimated"][0]["reason"] == "model not known: no/such-model"
    assert told["readings"][0]["read"] == 15 * 2**30
    assert "model not known: no/such-model" in run(capsys, "accuracy").out
    assert run(capsys, "accuracy", "elsewhere").code == 2


def test_errors_may_only_shrink(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "accuracy", "--check").code == 2
    assert run(capsys, "accuracy", "--refresh").code == 0
    assert run(capsys, "accuracy", "--check").code == 0
    budget = folder / "specs/published/errors.json"
    told = json.loads(budget.read_text("utf-8"))
    told["errors"][0]["median"] = 0.0
    budget.write_text(json.dumps(told), encoding="utf-8")
    ran = run(capsys, "accuracy", "--check")
    assert ran.code == 1
    assert "median is" in ran.err
    assert run(capsys, "accuracy", "--refresh").code == 1
    assert run(capsys, "accuracy", "--refresh", "--allow-growth").code == 0


def test_what_cannot_be_read_or_written_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    budget = folder / "specs/published/errors.json"
    assert "specs/published/errors.json yet: --refresh writes them" in run(capsys, "accuracy", "--check").err
    budget.write_text("{", encoding="utf-8")
    ran = run(capsys, "accuracy", "--check")
    assert (ran.code, ran.out) == (2, "")
    assert "cannot read the committed errors in specs/published/errors.json" in ran.err
    ran = run(capsys, "accuracy", "--output", "missing/table.txt")
    assert (ran.code, ran.out) == (2, "")
    assert "cannot write missing/table.txt: No such file or directory" in ran.err


def test_check_reads_readings_and_judges_none(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ran = run(capsys, "check", "specs")
    assert ran.code == 0
    assert "2 published readings are well formed" in ran.err
    assert "0 claims" in ran.out
    with (folder / "specs/published/qwen_speed_docs/readings.jsonl").open("a", encoding="utf-8") as lines:
        lines.write('{"run": 1}\n')
    ran = run(capsys, "check", "specs")
    assert ran.code == 1
    assert "specs/published/qwen_speed_docs/readings.jsonl:3:2: S104" in ran.out
    assert run(capsys, "accuracy").code == 2


def test_broken_records_are_no_readings(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("torchtitan.jsonl").write_text("{}\n", encoding="utf-8")
    ran = run(capsys, "readings", "torchtitan.jsonl")
    assert ran.code == 2
    assert "torchtitan.jsonl:1:1: S105 no record: it lacks" in ran.err
    assert run(capsys, "readings", "missing.jsonl").code == 2
