"""What decides a claim that depends: the two settings between which it turns, measured beside what is stated."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from tests.memory.measure.jobs import CONFIG
from toolkit.checks.judgement import Verdict
from toolkit.checks.run import check_paths
from toolkit.checks.situations.measurable import measurables
from toolkit.memory.measure.job import Measurable

SPEC = """\
document: document.md
scenarios:
  answer: {model: config.json, method: inference, weights: bf16, compute: bf16, head: causal-lm, attention: sdpa,
    sequence_length: 1024, generated_length: 1, gpu: H100}
claims:
  - {quantity: peak_memory, scenario: answer, metric: allocated, quote: "up to {64 MiB} in all"}
  - {quantity: peak_memory, scenario: answer, metric: allocated, quote: "is about {60 MiB} then"}
  - {quantity: parameters, scenario: answer, quote: "with {2 M} parameters"}
"""
DOCUMENT = "A model with 2 M parameters.\n\nIt allocates up to 64 MiB in all.\n\nThe peak is about 60 MiB then.\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "claims.yaml").write_text(SPEC, "utf-8")
    (tmp_path / "document.md").write_text(DOCUMENT, "utf-8")
    (tmp_path / "config.json").write_text(json.dumps(CONFIG), "utf-8")
    return tmp_path


def jobs(folder: Path) -> list[Measurable]:
    found = measurables([folder], folder)
    assert not found.findings
    return found.jobs


def test_both_sides_of_every_turn_are_measured(folder: Path) -> None:
    judged = check_paths([folder], folder, date(2026, 1, 1)).judgements
    batches = {job.setting.batch_size: job.claims for job in jobs(folder)}
    turning = [one.outcome for one in judged if one.verdict is Verdict.DEPENDS]
    assert turning
    for outcome in turning:
        assert outcome.turns is not None
        true, false = (choice["batch_size"] for choice in outcome.turns)
        assert isinstance(true, int)
        assert isinstance(false, int)
        assert abs(true - false) == 1
        assert f"batch_size {true}" in str(outcome.boundary)
        assert {true, false} <= batches.keys()
    assert {1, 8} <= batches.keys()


def test_what_decides_one_claim_is_worth_that_claim_and_the_rest_all_of_the_scenario(folder: Path) -> None:
    claims = {job.at: job.claims for job in jobs(folder)}
    assert claims[""] == 2
    assert claims["batch_size=8"] == 2
    assert set(claims.values()) <= {1, 2}


def test_a_setting_is_told_from_the_first_by_what_differs(folder: Path) -> None:
    names = [job.name for job in jobs(folder)]
    assert names[0] == "answer"
    assert len(names) == len(set(names))
    assert all(name == "answer" or name.startswith("answer[batch_size=") for name in names)


def test_a_claim_that_holds_everywhere_decides_nothing(folder: Path) -> None:
    (folder / "document.md").write_text(DOCUMENT.replace("64 MiB", "90 GiB").replace("60 MiB", "80 GiB"), "utf-8")
    assert [job.setting.batch_size for job in jobs(folder)] == [1, 8]
