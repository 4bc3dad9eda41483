"""Runs shared out among processes, and their replays: compared alike whichever process does it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from toolkit.accuracy import ahead
from toolkit.accuracy import score as scores
from toolkit.accuracy.ahead import Ahead, groups_of, is_asked
from toolkit.accuracy.compared import Answered, Comparer
from toolkit.accuracy.metrics import REPLAYED
from toolkit.accuracy.score import Score, score
from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.estimate import Estimate, estimate
from toolkit.memory.replay import reserved
from toolkit.spec.published import PublishedSource, load_published
from toolkit.spec.published_lines import PublishedRun
from toolkit.spec.settings.setting import Setting

PUBLISHED = Path(__file__).parents[2] / "specs" / "published"
MODEL = "HuggingFaceTB/SmolLM2-135M"


def _estimate(**fields: Any) -> Estimate:
    facts = load_model(MODEL)
    assert isinstance(facts, ModelFacts)
    return estimate(Setting(MODEL, method="full", weights="bf16", sequence_length=256, **fields), facts)


def _source(slug: str = "fsdp_qlora") -> PublishedSource:
    source, findings = load_published(PUBLISHED / slug, PUBLISHED)
    assert source is not None
    assert not findings
    return source


def test_only_runs_are_looked_at_that_are_asked_for() -> None:
    source = _source()
    metrics = {run.run: {one.metric for one in run.readings if one.apart is None} for run in source.runs}
    asked: list[str] = []

    def noted(run: PublishedRun) -> tuple[()]:
        asked.append(run.run)
        return ()

    Ahead(noted).look(source.runs)
    assert asked
    assert {*asked} == {run for run, of in metrics.items() if of & {"reserved", "allocated"}}


def test_runs_of_one_model_and_method_are_compared_together_the_most_replays_first() -> None:
    source = _source("fms_acceleration")
    groups = groups_of(source.runs)
    assert len(groups) > 5
    replays = [sum(is_asked(source.runs[place]) for place in group) for group in groups]
    assert replays == sorted(replays, reverse=True)
    of = [{(source.runs[place].scenario.model, source.runs[place].scenario.method) for place in one} for one in groups]
    assert all(len(one) == 1 for one in of)
    assert len(frozenset().union(*of)) == len(groups)
    assert sorted(place for group in groups for place in group) == [*range(len(source.runs))]


def test_scores_are_the_same_whichever_process_makes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also those that come from another process, whose estimates are made again where somebody asks for them."""
    source = _source()
    together = score([source], PUBLISHED)
    monkeypatch.setattr(scores, "side_by_side", _alone)
    alone = score([source], PUBLISHED)
    assert together == alone
    assert [one.settings for one in together.scored] == [one.settings for one in alone.scored]
    assert [_peak(one) for one in together.scored] == [_peak(one) for one in alone.scored]


def test_the_estimates_of_a_run_are_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """For its replays, its comparisons and whoever looks at its ledger."""
    monkeypatch.setattr(scores, "side_by_side", _alone)
    made: list[str] = []
    make = Comparer._estimated

    def counted(self: Comparer, run: PublishedRun) -> Answered:
        made.append(run.run)
        return make(self, run)

    monkeypatch.setattr(Comparer, "_estimated", counted)
    found = score([_source()], PUBLISHED)
    assert all(_peak(one) > 0 for one in found.scored)
    assert made
    assert len(made) == len({*made})


@pytest.mark.parametrize("beyond", [-1, 0, 1])
@pytest.mark.parametrize("settings", [1, 3])
def test_replays_are_compiled_where_there_are_many(monkeypatch: pytest.MonkeyPatch, beyond: int, settings: int) -> None:
    """Of many runs, or of few that leave something open: of those live tensors are not counted in blocks."""
    estimates, source = [_estimate(batch_size=size) for size in range(1, 1 + settings)], _source()
    metrics = [{one.metric for one in run.readings if one.apart is None} for run in source.runs]
    runs = sum(bool(of & REPLAYED) if settings > 1 else bool(of & (REPLAYED | {"allocated"})) for of in metrics)
    asked: list[bool] = []
    monkeypatch.setattr(ahead, "MANY", settings * runs + beyond)
    monkeypatch.setattr(ahead, "compile_replays", lambda: asked.append(True))
    Ahead(lambda _run: estimates).look(source.runs)
    assert bool(asked) == (beyond <= 0)


def test_no_run_is_forgotten_before_it_is_compared() -> None:
    """What is replayed of a group is compared right after; each run may leave open what has eight settings."""
    sources = [load_published(path, PUBLISHED)[0] for path in sorted(PUBLISHED.iterdir()) if path.is_dir()]
    runs = [run for source in sources if source is not None for run in source.runs]
    asked = [run for run in runs if any(reading.metric in REPLAYED for reading in run.readings)]
    assert len(asked) > 500
    assert 8 * len(asked) < reserved.KEPT


def _peak(one: Score) -> int:
    return one.largest.peak.total


def _alone(work: Callable[[Any], Any], things: Sequence[Any]) -> list[Any]:
    return [work(thing) for thing in things]
