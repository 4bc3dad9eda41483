"""Which runs are traced is decided by what their records say, and the table compares each with its own traces."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.accuracy.build import at, scored
from toolkit.accuracy.score import Score, Scores
from toolkit.accuracy.traced.budget import traced_entries
from toolkit.accuracy.traced.chosen import comparable, facts_of, like_for_like, pins, sampled, unnamed
from toolkit.accuracy.traced.compare import LIKE, OTHER, traced_table
from toolkit.accuracy.traced.effects import effects
from toolkit.accuracy.traced.lines import TracedLine, fingerprint
from toolkit.report.accuracy_traced import traced_json, traced_markdown, traced_text
from toolkit.spec.settings.setting import Lora, Setting, Stack

MODEL = "Qwen/Qwen2.5-0.5B-Instruct"


def setting(version: str | None = "4.45.2", **fields: Any) -> Setting:
    versions = {} if version is None else {"transformers": version, "torch": "2.4.1"}
    said = {"method": "full", "weights": "bf16", "batch_size": 1, "sequence_length": 8, **fields}
    return Setting(MODEL, stack=Stack("transformers", versions=versions), **said)


def one(name: str, read: int, *settings: Setting, grade: str = "A", complete: bool = True) -> Score:
    found = scored(name, read, read, complete=complete)
    return replace(found, run=replace(found.run, grade=grade), answered=at(*(settings or (setting(),))))


def line(of: Setting, asked: dict[str, str], blocks: tuple[int, int], **fields: Any) -> TracedLine:
    key = fingerprint(of, facts_of(of).config_hash)
    said = {
        "libraries": {"torch": "2.13.0", "transformers": "5.23.0", **asked},
        "allocated": blocks[0],
        "blocks": blocks,
        "parts": {"weights": blocks[0]},
        **fields,
    }
    return TracedLine("run", key, asked, **said)


def test_only_whole_records_that_name_their_releases_are_like_for_like() -> None:
    adapted = setting(lora=Lora(8, 16, "all-linear", 0.0), method="lora")
    scores = Scores((
        one("whole", 100), one("open", 100, complete=False), one("loose", 100, grade="B"),
        one("nameless", 100, setting(None)), one("no-peft", 100, adapted),
    ))  # fmt: skip
    chosen, left_out = like_for_like(scores)
    assert [each.run for each in chosen] == ["whole"]
    assert chosen[0].pins == (("transformers", "4.45.2"),)
    assert [(each.score.run.run, each.reason) for each in left_out] == [
        ("nameless", "the record names no release of transformers"),
        ("no-peft", "the record names no release of peft"),
    ]


def test_the_choice_cannot_see_an_error() -> None:
    near = Scores((one("a", 100), one("b", 100, setting(batch_size=2))))
    far = Scores(tuple(replace(each, read=each.read * 3) for each in near.scored))
    assert [each.key for each in like_for_like(near)[0]] == [each.key for each in like_for_like(far)[0]]
    assert [each.key for each in sampled(near)] == [each.key for each in sampled(far)]


def test_what_a_run_needs_has_to_be_named() -> None:
    assert list(unnamed(setting(weights="nf4"))) == ["bitsandbytes"]
    assert list(unnamed(setting(optimizer="adamw_8bit"))) == ["bitsandbytes"]
    assert list(unnamed(setting(None))) == ["transformers"]
    assert pins(setting()) == (("transformers", "4.45.2"),)


def test_a_sample_has_one_of_each_kind() -> None:
    loose = [one(f"loose-{number}", 100, setting(batch_size=number), grade="B") for number in (1, 2, 3)]
    assert [each.run for each in sampled(Scores((one("whole", 100), *loose)))] == ["whole"]
    assert [each.run for each in sampled(Scores(tuple(loose)))] == ["loose-1"]


def test_errors_are_those_of_what_was_traced() -> None:
    first, second = setting(), setting(batch_size=2)
    scores = Scores((one("a", 1000, first), one("b", 1000, second)))
    asked = {"transformers": "4.45.2"}
    lines = [line(first, asked, (990, 995)), line(second, asked, (980, 1020)), line(first, {}, (1100, 1100))]
    table = traced_table(scores, {each.key: each for each in lines})
    like, other = table.columns
    assert (like.kind, like.method, like.errors.runs, like.torch) == (LIKE, "full", 2, ("2.13.0",))
    assert (like.errors.worst, like.errors.bias) == (pytest.approx(0.005), pytest.approx(-0.0025))
    assert like.far_p95 == pytest.approx(0.01 + 0.95 * 0.01)
    assert like.within_bars
    assert (other.kind, other.errors.worst, other.within_bars) == (OTHER, pytest.approx(0.1), False)
    assert table.stacks == (("transformers 4.45.2", 2),)
    (change,) = table.changes
    assert (change.stated, change.runs, round(change.share, 3)) == ("4.45.2", 1, 0.111)
    assert change.parts == ()  # 110 bytes are not worth saying


def test_known_changes_are_those_between_the_releases_that_move_the_part() -> None:
    assert [str(one.since) for one in effects("4.39.3", "5.23.0", "logits", "full")] == ["4.46", "4.50"]
    assert [one.since for one in effects("4.46.0", "4.48.1", "logits", "full")] == []
    assert [str(one.since) for one in effects("4.41.2", "4.42.0", "kv_cache", "inference")] == ["4.42"]
    assert list(effects("4.39.3", "5.23.0", "gradients", "full")) == []


def test_columns_of_several_sources_are_shown_by_source_too() -> None:
    first, second = setting(), setting(batch_size=2)
    lines = [line(first, {"transformers": "4.45.2"}, (990, 990)), line(second, {"transformers": "4.45.2"}, (980, 980))]
    other = replace(one("b", 1000, second), source="other")
    table = traced_table(Scores((one("a", 1000, first), other)), {each.key: each for each in lines})
    assert [(column.source, column.errors.runs, column.errors.worst) for column in table.columns] == [
        ("", 2, pytest.approx(0.02)), ("other", 1, pytest.approx(0.02)), ("source", 1, pytest.approx(0.01))
    ]  # fmt: skip
    assert len(traced_entries(table)) == 1


def test_of_all_that_a_record_admits_the_worst_counts() -> None:
    flash, sdpa = setting(attention="flash"), setting(attention="sdpa")
    asked = {"transformers": "4.45.2"}
    lines = [line(flash, asked, (1000, 1000)), line(sdpa, asked, (1050, 1050))]
    both = traced_table(Scores((one("a", 1000, flash, sdpa),)), {each.key: each for each in lines})
    assert both.columns[0].errors.worst == pytest.approx(0.05)
    assert [each.score.run.run for each in both.misses] == ["a"]
    half = traced_table(Scores((one("a", 1000, flash, sdpa),)), {lines[0].key: lines[0]})
    assert not half.columns
    assert half.untried == 1


def test_what_was_refused_or_ran_with_other_releases_is_told_apart() -> None:
    first, second = setting(), setting(batch_size=2)
    asked = {"transformers": "4.45.2"}
    lines = [
        replace(line(first, asked, (0, 0)), reason="not traced yet"),
        line(second, asked, (1000, 1000), libraries={"transformers": "4.46.0", "torch": "2.13.0"}),
    ]
    table = traced_table(Scores((one("a", 1000, first), one("b", 1000, second))), {each.key: each for each in lines})
    assert not table.columns
    assert table.not_traced == (
        ("source", "not traced yet", 1), ("source", "other releases ran than were asked for", 1)
    )  # fmt: skip


def test_the_table_is_told_in_three_forms() -> None:
    lines = [line(setting(), {"transformers": "4.45.2"}, (900, 900), traced="every layer")]
    table = traced_table(Scores((one("a|run", 1000),)), {each.key: each for each in lines})
    assert "-10.00%" in traced_text(table)
    assert "a\\|run" in traced_markdown(table)
    assert '"within_bars": false' in traced_json(table)
    assert [entry.group for entry in traced_entries(table)] == ["like for like: full"]


def test_runs_of_many_gpus_or_other_kernels_are_not_comparable() -> None:
    assert comparable([], ("allocated",)) == Scores()
