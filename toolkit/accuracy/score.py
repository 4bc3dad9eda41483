"""Scores: published readings compared with the estimates of their runs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field
from functools import partial
from itertools import chain
from pathlib import Path

from toolkit.accuracy.ahead import Ahead, groups_of, is_asked
from toolkit.accuracy.compared import Answered, Compared, Comparer, Left
from toolkit.accuracy.metrics import Bytes
from toolkit.checks.side_by_side import side_by_side
from toolkit.frozen import frozen
from toolkit.memory.estimate import Holdings
from toolkit.memory.replay.orders import MANY, compile_replays
from toolkit.spec.look_up import LookUp
from toolkit.spec.published import PublishedSource
from toolkit.spec.published_lines import PublishedRun, Reading
from toolkit.spec.settings.setting import Setting

DEVELOPMENT, HELD_OUT = "development", "held-out"
_VERSIONED = "stack."


@frozen
class Score:
    """A reading (`read`) and its estimate, in bytes. `complete`: the run leaves nothing open that moves it.

    `unversioned` identifies what the run states, apart from releases. `answered` gives the run's estimates: few are
    asked for again, and those that another process made are made anew for that.
    """

    source: str
    run: PublishedRun
    reading: Reading
    read: int
    estimated: Bytes
    complete: bool
    family: str
    unversioned: str
    answered: Callable[[], Answered] = field(repr=False, compare=False)

    @property
    def largest(self) -> Holdings:
        """The estimate with the largest peak, or the holdings where no formula covers the peak."""
        return self.answered().largest

    @property
    def settings(self) -> tuple[Setting, ...]:
        """The settings that formulas cover."""
        return tuple(one.setting for one in self.answered().estimates)

    @property
    def error(self) -> float:
        """The distance of the estimate above the reading, as a share of the reading; 0 where the interval holds it."""
        low, high = self.estimated
        distance = low - self.read if self.read < low else min(high - self.read, 0)
        return distance / self.read

    @property
    def width(self) -> float:
        """The width of the estimate's interval, as a share of the reading."""
        return (self.estimated[1] - self.estimated[0]) / self.read

    @property
    def half(self) -> str:
        """The half of the runs that this one belongs to: development or held-out."""
        return half_of(self.run.run)

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """A key that repeats of one configuration share, whatever their releases and commits."""
        return self.source, self.run.configuration, self.unversioned, self.reading.metric


@frozen
class Unscored:
    """A reading without a score, and why. `apart`: because the reading itself is not what it seems."""

    source: str
    run: PublishedRun
    reading: Reading
    reason: str
    apart: bool = False


@frozen
class Scores:
    """The scores of some sources, and the readings without one. `causes` are known causes of misses, by source."""

    scored: tuple[Score, ...] = ()
    unscored: tuple[Unscored, ...] = ()
    causes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def half_of(run: str) -> str:
    """The half of a run, fixed by the hash of its name: formulas are developed on one half alone."""
    return (DEVELOPMENT, HELD_OUT)[hashlib.sha256(run.encode()).digest()[0] & 1]


def score(sources: Iterable[PublishedSource], base: Path) -> Scores:
    """Estimates every run, and compares each of its readings."""
    sources = tuple(sources)
    scorer = Comparer(LookUp(base), base)
    runs = [run for source in sources for run in source.runs]
    found = _compared_side_by_side(scorer, runs)
    scored: list[Score] = []
    unscored: list[Unscored] = []
    slugs = [source.slug for source in sources for _ in source.runs]
    for slug, run, each in zip(slugs, runs, found, strict=True):
        for reading, one in zip(run.readings, each, strict=True):
            if isinstance(one, Compared):
                answered = partial(scorer.answered, run)
                scored.append(Score(slug, run, reading, *one, _unversioned(run), answered))
            else:
                unscored.append(Unscored(slug, run, reading, *one))
    return Scores(tuple(scored), tuple(unscored), {source.slug: source.misses for source in sources})


def _compared_side_by_side(scorer: Comparer, runs: Sequence[PublishedRun]) -> list[list[Compared | Left]]:
    """The comparisons of each run's readings, by groups of runs that are alike, on all cores."""
    ahead = Ahead(lambda run: scorer.answered(run).estimates)
    if sum(map(is_asked, runs)) >= MANY:
        compile_replays()

    def compared(group: Sequence[int]) -> list[list[Compared | Left]]:
        ahead.look(runs[place] for place in group)
        return [[*scorer.of(runs[place])] for place in group]

    groups = groups_of(runs)
    found = side_by_side(compared, groups)
    by_place = dict(zip(chain.from_iterable(groups), chain.from_iterable(found), strict=True))
    return [by_place[place] for place in range(len(runs))]


def _unversioned(run: PublishedRun) -> str:
    fields = run.scenario.fields.items()
    return json.dumps({name: repr(said.value) for name, said in sorted(fields) if not name.startswith(_VERSIONED)})
