"""Folders of published readings: what is read, and where each mistake is said to be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from toolkit.spec.fields.value import Fixed, Range
from toolkit.spec.published import load_published
from toolkit.spec.walk import reading_folders

HEADER = "title: A table\nrepository: a/b\nmetric: torch's peak\n"
RUN: dict[str, Any] = {
    "run": "r1",
    "path": "table.csv",
    "scenario": {"model": "Qwen/Qwen2.5-7B", "method": "lora", "lora": {"rank": 8}},
    "readings": [{"id": "1", "metric": "allocated", "bytes": 12}],
}


def write(folder: Path, *lines: str, header: str = HEADER) -> Path:
    (folder / "source.yaml").write_text(header, encoding="utf-8")
    (folder / "readings.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return folder


def test_a_run_with_its_readings(tmp_path: Path) -> None:
    said = {**RUN, "configuration": "r", "scenario": {**RUN["scenario"], "sequence_length": {"from": 1, "to": 9}}}
    source, findings = load_published(write(tmp_path, json.dumps(said)), tmp_path)
    assert findings == []
    assert source is not None
    [run] = source.runs
    assert (run.run, run.configuration, run.readings[0].bytes) == ("r1", "r", (12,))
    assert run.scenario.fields["lora.rank"].value == Fixed(8)
    assert run.scenario.fields["sequence_length"].value == Range(1, 9)


def changed(**fields: Any) -> str:
    return json.dumps({**RUN, **fields})


SCENARIO = RUN["scenario"]
READING = RUN["readings"][0]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"run": ', ":1:9: S101 no JSON"),
        ("[]", ":1:1: S104 a line is a JSON object"),
        ('{"run": "a", "run": "b"}', ":1:2: S102 run is written twice"),
        ('{"run": NaN}', ":1:1: S101 NaN is not JSON"),
        (f'{{"run": {"9" * 5000}}}', "S112"),
        (f'{{"run": {"[" * 20_000}', "S1"),
        (f'{{"run": "{"x" * 60_000}"}}', "S112 a line of more than"),
        (changed(runn="x"), "S103 runn may not stand here"),
        (json.dumps({"run": "r1"}), ":1:2: S105 a run needs path"),
        (changed(scenario=[]), "S105 a run needs a scenario"),
        (changed(scenario={"model": "a/b"}), "S105 scenario: needs method"),
        (changed(scenario={**SCENARIO, "batchsize": 4}), "S103 batchsize is no field of a scenario"),
        (changed(scenario={**SCENARIO, "batch_size": 0}), "S104 batch_size: 0 is not a positive integer"),
        (changed(scenario={**SCENARIO, "weights": "bf17"}), "S107 weights: "),
        (changed(scenario={**SCENARIO, "weights": "nf4"}), "S113 method lora beside 4-bit weights"),
        (changed(beyond=3), "S104 beyond: "),
        (changed(readings=[]), "S104 readings: "),
        (changed(readings=[{**READING, "metric": "vram"}]), "S107 metric: vram is not known"),
        (changed(readings=[{**READING, "bytes": 1.5}]), "S104 bytes: "),
        (changed(readings=[{**READING, "bytes": True}]), "S104 bytes: "),
        (changed(readings=[READING, READING]), "S102 the reading 1 stands there twice"),
    ],
)
def test_each_mistake_has_its_place(tmp_path: Path, line: str, said: str) -> None:
    source, findings = load_published(write(tmp_path, line), tmp_path)
    assert source is None
    assert len(findings) == 1
    assert said in str(findings[0])
    assert str(findings[0]).startswith("readings.jsonl:1:")


def test_every_line_is_looked_at(tmp_path: Path) -> None:
    wrong = changed(run="r2", scenario={**SCENARIO, "batch_size": 0}, readings=[{**READING, "id": "2"}])
    _, findings = load_published(write(tmp_path, "{", json.dumps(RUN), wrong, header="title: A\n"), tmp_path)
    column = wrong.index('"batch_size"') + 1
    places = [str(finding).split(" ")[0] for finding in findings]
    assert places == ["source.yaml:1:1:", "source.yaml:1:1:", "readings.jsonl:1:2:", f"readings.jsonl:3:{column}:"]


def test_folders_are_found_below_others(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / ".hidden").mkdir()
    for name in ("a/b", "a/.hidden"):
        write(tmp_path / name, json.dumps(RUN))
    assert list(reading_folders([tmp_path, tmp_path / "a"])) == [tmp_path / "a" / "b"]
