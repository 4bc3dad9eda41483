"""The traces that are kept beside the published readings: their errors, and that they are still what is traced."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.accuracy.build import PUBLISHED, at
from toolkit.accuracy.budget import grown, read_budget
from toolkit.accuracy.traced.budget import FILE, traced_entries
from toolkit.accuracy.traced.chosen import SAMPLED, comparable, like_for_like, sampled
from toolkit.accuracy.traced.compare import LIKE, TracedTable, traced_table
from toolkit.accuracy.traced.lines import TracedLine, read_lines
from toolkit.report.accuracy_traced import traced_json, traced_text
from toolkit.spec.published import PublishedSource, load_published
from toolkit.spec.walk import reading_folders

COLUMNS = ("full", "inference", "lora", "qlora")


@pytest.fixture(scope="module")
def sources() -> list[PublishedSource]:
    loaded = [load_published(folder, PUBLISHED) for folder in reading_folders([PUBLISHED])]
    return [source for source, _ in loaded if source is not None]


@pytest.fixture(scope="module")
def lines() -> list[TracedLine]:
    return [line for folder in reading_folders([PUBLISHED]) for line in read_lines(folder)]


@pytest.fixture(scope="module")
def table(sources: list[PublishedSource], lines: list[TracedLine]) -> TracedTable:
    return traced_table(comparable(sources, SAMPLED), {line.key: line for line in lines})


def test_errors_only_shrink(table: TracedTable) -> None:
    worse = list(grown(read_budget(PUBLISHED / FILE), traced_entries(table)))
    assert not worse, "if that is meant: toolkit accuracy --traced --refresh --allow-growth"


def test_like_for_like_traces_are_within_the_bars(table: TracedTable) -> None:
    like = {column.method: column for column in table.columns if column.kind == LIKE and not column.source}
    assert set(like) == set(COLUMNS)
    for method, column in like.items():
        assert column.errors.median <= 0.005, method
        assert column.errors.p95 <= 0.02, method


def test_the_releases_ran_that_the_records_name(table: TracedTable, lines: list[TracedLine]) -> None:
    assert len(table.stacks) >= 8
    for line in lines:
        if line.asked and not line.reason:
            assert {name: line.libraries[name] for name in line.asked} == dict(line.asked)


def test_a_changed_reading_is_not_compared_with_the_trace_of_another(
    sources: list[PublishedSource], lines: list[TracedLine]
) -> None:
    """What a record says of its run is part of what is traced: with another length there is no trace of it."""
    source = next(one for one in sources if one.slug == "fms_acceleration")
    by_key = {line.key: line for line in lines}
    scores = comparable([source], SAMPLED)
    longer = tuple(
        replace(one, answered=at(*(replace(each, sequence_length=each.sequence_length + 1) for each in one.settings)))
        for one in scores.scored
    )
    table = traced_table(replace(scores, scored=longer), by_key)
    assert not table.columns
    assert table.untried


def test_every_kept_trace_is_still_asked_for(sources: list[PublishedSource], lines: list[TracedLine]) -> None:
    scores = comparable(sources, SAMPLED)
    wanted = {one.key for one in like_for_like(scores)[0]} | {one.key for one in sampled(scores)}
    stale = sorted({line.run for line in lines if line.key not in wanted})
    assert not stale, "toolkit trace specs/published --readings stated --missing --write, and installed"


def test_no_run_is_left_out_in_silence(table: TracedTable) -> None:
    told = json.loads(traced_json(table))
    assert told["without_a_kept_trace"] == table.untried
    assert sum(one["runs"] for one in told["not_traced"]) > 0
    assert all(one["reason"] for one in told["not_traced"])


def test_the_table_says_by_which_rule_runs_were_chosen(table: TracedTable) -> None:
    said = traced_text(table)
    assert said.startswith("Traced like for like are all runs on one GPU")
    assert all(column in said for column in COLUMNS)


def test_kept_traces_are_small() -> None:
    assert sum(path.stat().st_size for path in Path(PUBLISHED).glob("*/traced.jsonl")) < 2_000_000
