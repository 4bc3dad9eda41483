"""Files of scenarios alone: what they may hold, and every mistake in one at its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from toolkit.memory.measure.speed import WORK as TIMED
from toolkit.spec.load_scenarios import WORK, Compared, holds_scenarios, load_scenarios
from toolkit.spec.walk import is_spec

SMALL = "{model: Qwen/Qwen2.5-0.5B, method: inference, weights: bf16}"


def written(folder: Path, text: str) -> Path:
    path = folder / "grid.scenarios.yaml"
    path.write_text(text, "utf-8")
    return path


def test_scenarios_take_over_defaults_and_each_other(tmp_path: Path) -> None:
    text = f"""\
title: Two
defaults: {{batch_size: 4}}
scenarios:
  one: {SMALL}
  two: {{extends: one, weights: nf4}}
speeds:
  - {{from: one, to: two, work: decode}}
"""
    listed, findings = load_scenarios(written(tmp_path, text), tmp_path)
    assert not findings
    assert [one.name for one in listed.scenarios] == ["one", "two"]
    assert [one.fixed("weights") for one in listed.scenarios] == ["bf16", "nf4"]
    assert [one.fixed("batch_size") for one in listed.scenarios] == [4, 4]
    assert listed.speeds == (Compared("one", "two", "decode"),)


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        (f"scenarios:\n  one: {SMALL}\nclaims: []\n", "S103", 3),
        ("title: none\n", "S105", 1),
        ("scenarios:\n  one: {model: Qwen/Qwen2.5-0.5B, method: infer}\n", "S107", 2),
        (f"scenarios:\n  one: {SMALL}\nspeeds:\n  - {{from: one, to: tow, work: decode}}\n", "S108", 4),
        (f"scenarios:\n  one: {SMALL}\nspeeds:\n  - {{from: one, to: one, work: reading}}\n", "S107", 4),
        (f"scenarios:\n  one: {SMALL}\nspeeds:\n  - {{from: one, to: one}}\n", "S104", 4),
        (f"scenarios:\n  one: {SMALL}\nspeeds:\n  - one\n", "S104", 4),
        (f"scenarios:\n  one: {SMALL}\nspeeds: one\n", "S104", 3),
    ],
)
def test_every_mistake_has_its_place(tmp_path: Path, text: str, code: str, line: int) -> None:
    _, findings = load_scenarios(written(tmp_path, text), tmp_path)
    assert [(one.code, one.place.line or 1) for one in findings] == [(code, line)]


def test_a_name_with_mistakes_costs_no_other_scenario(tmp_path: Path) -> None:
    text = f"scenarios:\n  one: {SMALL}\n  two: {{extends: none}}\n"
    listed, findings = load_scenarios(written(tmp_path, text), tmp_path)
    assert [one.name for one in listed.scenarios] == ["one"]
    assert findings


def test_no_file_is_both_a_spec_and_a_list_of_scenarios() -> None:
    assert holds_scenarios(Path("a/grid.scenarios.yml"))
    assert not holds_scenarios(Path("scenarios.yaml"))
    assert not is_spec("grid.scenarios.yaml")


def test_work_that_may_be_compared_is_what_is_timed() -> None:
    assert tuple(TIMED) == WORK
