"""Jobs as files: everything that is run comes back, and a file that is none is said to be none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.memory.measure.jobs import LORA, job
from toolkit.memory.measure.job import as_plain, from_plain, jobs_text, read_jobs
from toolkit.spec.settings.setting import Cache, Galore, Parallel, Run, Stack, Validation

JOBS = [
    job(),
    job("lora", method="lora", lora=LORA, stack=Stack("trl", "chunked", {"trl": "1.0"}), run=Run(10, 2)),
    job("targets", method="lora", lora=LORA.__class__(4, None, ("q_proj", "v_proj")), parallel=Parallel(2, "ddp")),
    job("projected", optimizer="galore_adamw", galore=Galore(64, ("attn", "mlp"))),
    job("validated", validation=Validation(8, 512, 3)),
    job("kept", method="inference", cache=Cache("quantized", None, "hqq", 3, 0, 1, 32, 64)),
]


@pytest.mark.parametrize("one", JOBS, ids=lambda one: one.scenario)
def test_a_job_comes_back_from_json_as_it_was(one: object) -> None:
    loaded = from_plain(json.loads(json.dumps(as_plain(one))))  # type: ignore[arg-type]
    assert loaded == one
    assert loaded.facts.config_hash == one.facts.config_hash  # type: ignore[attr-defined]


def test_a_file_of_jobs_is_read_back(tmp_path: Path) -> None:
    file = tmp_path / "jobs.json"
    file.write_text(jobs_text(JOBS), "utf-8")
    assert read_jobs(file) == JOBS


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("not JSON", "no file of jobs"),
        ('{"format": 99, "jobs": []}', "format 1"),
        ('{"format": 1, "jobs": [{"scenario": "a"}]}', "KeyError"),
        ("[" * 100_000, "RecursionError"),
    ],
)
def test_a_file_that_is_none_is_refused_with_a_reason(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "jobs.json"
    file.write_text(text, "utf-8")
    assert said in str(read_jobs(file))


def test_an_unknown_field_of_a_setting_is_refused(tmp_path: Path) -> None:
    whole = json.loads(jobs_text(JOBS))
    whole["jobs"][0]["setting"]["colour"] = "red"
    file = tmp_path / "jobs.json"
    file.write_text(json.dumps(whole), "utf-8")
    assert "colour" in str(read_jobs(file))
