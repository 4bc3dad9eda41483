"""Replays worked out ahead: once for each run that a reading asks for, whichever process does it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from toolkit.accuracy import ahead
from toolkit.accuracy.ahead import asked_runs, replay_ahead
from toolkit.accuracy.metrics import COUNTED, REPLAYED
from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.context import Context
from toolkit.memory.estimate import Estimate, estimate
from toolkit.memory.replay import reserved
from toolkit.memory.replay.reserved import Worked, replayed
from toolkit.spec.published import PublishedSource, load_published
from toolkit.spec.settings.setting import Setting, Stack

PUBLISHED = Path(__file__).parents[2] / "specs" / "published"
MODEL = "HuggingFaceTB/SmolLM2-135M"


def _estimate(**fields: Any) -> Estimate:
    facts = load_model(MODEL)
    assert isinstance(facts, ModelFacts)
    return estimate(Setting(MODEL, method="full", weights="bf16", sequence_length=256, **fields), facts)


@pytest.fixture(autouse=True)
def _nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reserved, "_KNOWN", {})


def _source(slug: str = "fsdp_qlora") -> PublishedSource:
    source, findings = load_published(PUBLISHED / slug, PUBLISHED)
    assert source is not None
    assert not findings
    return source


def test_only_runs_that_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    source = _source()
    metrics = {run.run: {one.metric for one in run.readings if one.apart is None} for run in source.runs}
    asked: list[str] = []
    monkeypatch.setattr(ahead, "side_by_side", _alone)
    replay_ahead([source], lambda run: asked.append(run.run) or ())  # type: ignore[func-returns-value]
    assert asked
    assert {*asked} == {run for run, of in metrics.items() if of & {"reserved", "allocated"}}  # all of them train


def test_runs_of_one_model_and_method_are_replayed_together_the_most_first() -> None:
    source = _source("fms_acceleration")
    groups = asked_runs([source])
    assert len(groups) > 5
    assert [*map(len, groups)] == sorted(map(len, groups), reverse=True)
    of = [{(run.scenario.model, run.scenario.method) for run in group} for group in groups]
    assert all(len(one) == 1 for one in of)
    assert len(frozenset().union(*of)) == len(groups)


def test_each_run_once(monkeypatch: pytest.MonkeyPatch) -> None:
    one, again, longer = _estimate(batch_size=1), _estimate(batch_size=1), _estimate(batch_size=2)
    wider = _estimate(batch_size=1, optimizer="sgd")
    stepping = _estimate(batch_size=1, optimizer_in_backward=True, stack=Stack("plain"))  # only bounds are known of it
    worked: list[Context] = []
    monkeypatch.setattr(ahead, "side_by_side", _alone)
    monkeypatch.setattr(reserved, "_worked_out", lambda context, *_: worked.append(context) or Worked(1, 2, 1, 1))
    replay_ahead([_source()], lambda _run: [one, again, longer, wider, stepping])
    assert [(run.setting.batch_size, run.setting.optimizer) for run in worked] == [
        (1, "adamw"),
        (2, "adamw"),
        (1, "sgd"),
    ]


@pytest.mark.parametrize("in_two", [True, False])
def test_what_was_worked_out_is_not_worked_out_again(monkeypatch: pytest.MonkeyPatch, in_two: bool) -> None:
    estimates = [_estimate(batch_size=size) for size in (1, 2, 3)]
    expected = [replayed(one) for one in estimates]
    monkeypatch.setattr(reserved, "_KNOWN", {})
    if not in_two:
        monkeypatch.setattr(ahead, "side_by_side", _alone)
    replay_ahead([_source()], lambda _run: estimates)

    def again(*_asked: object) -> None:
        raise AssertionError("worked out a second time")

    monkeypatch.setattr(reserved, "_worked_out", again)
    assert [replayed(one) for one in estimates] == expected


@pytest.mark.parametrize("beyond", [-1, 0, 1])
@pytest.mark.parametrize("settings", [1, 3])
def test_replays_are_compiled_where_there_are_many(monkeypatch: pytest.MonkeyPatch, beyond: int, settings: int) -> None:
    """Of many runs, or of few that leave something open."""
    estimates, source = [_estimate(batch_size=size) for size in range(1, 1 + settings)], _source()
    several = settings > 1  # of a run that leaves something open live tensors are not counted in blocks
    runs = sum(
        any(reading.metric in (REPLAYED if several else REPLAYED | COUNTED.keys()) for reading in run.readings)
        for group in asked_runs([source])
        for run in group
    )
    asked: list[bool] = []
    monkeypatch.setattr(ahead, "MANY", settings * runs + beyond)
    monkeypatch.setattr(ahead, "compile_replays", lambda: asked.append(True))
    monkeypatch.setattr(ahead, "side_by_side", _alone)
    replay_ahead([source], lambda _run: estimates)
    assert bool(asked) == (beyond <= 0)


def test_no_run_is_forgotten_before_it_is_compared() -> None:
    """All are replayed before the first is compared; each may leave open what has eight settings."""
    sources = [load_published(path, PUBLISHED)[0] for path in sorted(PUBLISHED.iterdir()) if path.is_dir()]
    runs = [run for source in sources if source is not None for run in source.runs]
    asked = [run for run in runs if any(reading.metric in REPLAYED for reading in run.readings)]
    assert len(asked) > 500
    assert 8 * len(asked) < reserved.KEPT


def _alone(work: Callable[[Any], Any], things: Sequence[Any], _meanwhile: Callable[[], object]) -> list[Any]:
    return [work(thing) for thing in things]
