"""Our own measurements as published readings. What is read here is made up, in tests alone: it shows the way."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from tests.accuracy.build import PUBLISHED
from tests.memory.measure.jobs import outcome, reading
from toolkit.accuracy.convert.own import run_of, slug_of_gpu, write_own
from toolkit.accuracy.score import score
from toolkit.checks.situations.measurable import computed, measurables
from toolkit.checks.situations.situation import all_moved
from toolkit.checks.situations.situations import situation_of
from toolkit.evidence.record import Record, setting_key
from toolkit.memory.measure.job import Measurable
from toolkit.memory.measure.outcome import Outcome, OutcomeKind
from toolkit.memory.measure.records import merged, record_of
from toolkit.memory.replay.reserved import counted
from toolkit.spec.look_up import LookUp
from toolkit.spec.published import load_published
from toolkit.spec.published_lines import LineReader

GRID = PUBLISHED / "grid.scenarios.yaml"


@cache
def grid() -> tuple[Measurable, ...]:
    found = measurables([GRID], PUBLISHED.parents[1])
    assert not found.findings
    assert not found.left_out
    return tuple(found.jobs)


def record(job: Measurable, allocated: int = 1_000_000_000, **more: object) -> Record:
    sizes = {"reserved": allocated + (2 << 20), "card": allocated + (402 << 20)}
    found = record_of(job, outcome(allocated=allocated, **{**sizes, **more}))
    assert found is not None
    return found


def test_every_point_of_the_grid_is_one_setting() -> None:
    names = [job.scenario for job in grid()]
    assert len(names) == len(set(names)) >= 40
    assert not [job.name for job in grid() if job.at]


def test_the_grid_spans_what_moves_memory() -> None:
    settings = [job.setting for job in grid()]
    assert len({one.model for one in settings}) >= 8
    assert {(one.method, one.weights) for one in settings} >= {
        ("full", "bf16"), ("full", "fp32"), ("lora", "bf16"), ("lora", "int8"), ("qlora", "nf4"),
        ("inference", "bf16"), ("inference", "int8"), ("inference", "nf4"),
    }  # fmt: skip
    for name, least in (("batch_size", 5), ("sequence_length", 5), ("optimizer", 6), ("gradient_checkpointing", 3)):
        assert len({getattr(one, name) for one in settings}) >= least, name
    assert {one.lora.rank for one in settings if one.lora} == {8, 16, 64}
    assert sum(one.parallel.gpus == 2 for one in settings) == 2


def test_a_run_of_readings_is_the_setting_that_was_measured() -> None:
    reader = LineReader("own")
    look_up = LookUp(PUBLISHED)
    for number, job in enumerate(grid(), 1):
        run = reader.run(json.dumps(run_of(record(job))), number)
        assert run is not None, reader.findings
        situation = situation_of(replace(run.scenario, model_type=look_up.model_type(run.scenario)), PUBLISHED)
        assert situation is not None
        was, now = setting_key(job.setting), setting_key(situation.setting())
        for said in (was, now):
            del said["stack"]["versions"]
        assert now == was
        assert not situation.fields(*all_moved())


def test_readings_are_scored_as_those_of_others(tmp_path: Path) -> None:
    one = next(job for job in grid() if job.scenario == "full")
    one = replace(one, setting=replace(one.setting, gpu="NVIDIA H100 80GB HBM3"))
    known = computed(one)
    assert known is not None
    (folder,), left = write_own([record(one, round(known.allocated / 1.02))], tmp_path)
    assert (folder.name, left) == ("own-h100-80gb-hbm3", [])
    source, findings = load_published(folder, tmp_path)
    assert source is not None, findings
    found = {one.reading.metric: one for one in score([source], PUBLISHED).scored}
    assert found.keys() == {"allocated", "reserved", "device"}
    assert found["allocated"].complete
    low, high = counted(known)
    assert known.allocated < low <= high  # whole blocks are counted
    assert found["allocated"].error == pytest.approx(low / round(known.allocated / 1.02) - 1, rel=0.001)


def test_runs_are_added_and_not_replaced_unless_asked(tmp_path: Path) -> None:
    first, second, *_ = grid()
    write_own([record(first, 10**9)], tmp_path)
    (folder,), left = write_own([record(first, 2 * 10**9), record(second)], tmp_path)
    assert [reason.partition(": ")[0] for reason in left] == [first.scenario]
    assert amounts(folder)[first.scenario] == 10**9
    assert len(amounts(folder)) == 2
    write_own([record(first, 2 * 10**9)], tmp_path, anew=True)
    assert amounts(folder)[first.scenario] == 2 * 10**9


def amounts(folder: Path) -> dict[str, int]:
    lines = (folder / "readings.jsonl").read_text("utf-8").splitlines()
    runs = [json.loads(line) for line in lines]
    return {run["run"].removeprefix("own-").rpartition("-")[0]: run["readings"][0]["bytes"] for run in runs}


def test_what_is_no_reading_of_a_peak_is_left_out(tmp_path: Path) -> None:
    one = grid()[0]
    said = reading(kind="does not fit", card=None)
    full = record_of(one, Outcome(OutcomeKind.FULL, "", said, 1.0))
    assert full is not None
    apart = merged(record(one, 10**9), record(one, 10**9 + 10**7))
    written, left = write_own([full, apart], tmp_path)
    assert not written
    assert ["full tells no peak" in left[0], "apart" in left[1]] == [True, True]


def test_without_the_whole_card_there_is_no_reading_of_it() -> None:
    metrics = [one["metric"] for one in run_of(record(grid()[0], card=None))["readings"]]
    assert metrics == ["allocated", "reserved"]


@pytest.mark.parametrize(
    ("gpu", "slug"),
    [("NVIDIA H200", "own-h200"), ("NVIDIA A100-SXM4-80GB", "own-a100-sxm4-80gb"), ("../..", "own-gpu")],
)
def test_a_folder_is_named_after_the_gpu_alone(gpu: str, slug: str) -> None:
    assert slug_of_gpu(gpu) == slug
