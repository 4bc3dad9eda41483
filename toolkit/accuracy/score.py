"""Scores: published readings compared with the estimates of their runs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from toolkit.accuracy.ahead import replay_ahead
from toolkit.accuracy.metrics import COUNTED, HELD, PARTS, PREDICTS, REPLAYED, Bytes, Predicts, weights_bytes
from toolkit.checks.refusals import REFUSALS
from toolkit.checks.situations.answer import answer, held_at_extremes
from toolkit.checks.situations.space import TooManySettingsError
from toolkit.frozen import frozen
from toolkit.memory.estimate import Estimate, Holdings
from toolkit.memory.ledger import Category, PhaseName
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.replay.other_streams import gathers_unlimited
from toolkit.spec.look_up import LookUp
from toolkit.spec.published import PublishedSource
from toolkit.spec.published_lines import PublishedRun, Reading
from toolkit.spec.scenario import Scenario
from toolkit.spec.settings.setting import Setting

DEVELOPMENT, HELD_OUT = "development", "held-out"
_VERSIONED = "stack."
_PRINTED_GAP = 0.005
"""The share by which a reading may be below the weights: rounding of its digits, and small buffers."""


@frozen
class Score:
    """A reading (`read`) and its estimate, in bytes. `complete`: the run leaves nothing open that moves it.

    `unversioned` identifies what the run states, apart from releases. `largest` is the estimate with the largest peak,
    or the holdings where no formula covers the peak; `settings` are those that formulas cover.
    """

    source: str
    run: PublishedRun
    reading: Reading
    read: int
    estimated: Bytes
    complete: bool
    family: str
    unversioned: str
    largest: Holdings
    settings: tuple[Setting, ...] = ()

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
    scored: list[Score] = []
    unscored: list[Unscored] = []
    scorer = _Scorer(LookUp(base), base)
    sources = tuple(sources)
    replay_ahead(sources, lambda run: scorer.answered(run).estimates)
    for source in sources:
        for run in source.runs:
            for one in scorer.of(source.slug, run):
                if isinstance(one, Score):
                    scored.append(one)
                else:
                    unscored.append(one)
    return Scores(tuple(scored), tuple(unscored), {source.slug: source.misses for source in sources})


@frozen
class _Found:
    """The estimates of a run, or why there are none, and then what it holds between steps as far as that is known."""

    estimates: tuple[Estimate, ...] = ()
    refused: str = ""
    held: tuple[Holdings, ...] = ()

    @property
    def largest(self) -> Holdings:
        """The estimate, or the holdings, with the largest peak."""
        if self.estimates:
            return max(self.estimates, key=lambda one: one.allocated)
        return max(self.held, key=lambda one: one.peak.total)


@dataclass(slots=True)
class _Scorer:
    """Estimates runs, each scenario once."""

    look_up: LookUp
    base: Path
    _known: dict[str, _Found] = field(default_factory=dict)

    def of(self, slug: str, run: PublishedRun) -> Iterator[Score | Unscored]:
        found = self.answered(run)
        for reading in run.readings:
            if reading.apart is not None:
                yield Unscored(slug, run, reading, reading.apart, apart=True)
            elif found.refused and (not found.held or reading.metric not in HELD):
                yield Unscored(slug, run, reading, found.refused)
            else:
                try:
                    yield self._compared(slug, run, reading, found)
                except UnsupportedRow as refusal:
                    yield Unscored(slug, run, reading, str(refusal))

    def _compared(self, slug: str, run: PublishedRun, reading: Reading, found: _Found) -> Score | Unscored:
        predicts = PREDICTS[reading.metric]
        if isinstance(predicts, str):
            return Unscored(slug, run, reading, predicts)
        if len(found.estimates) == 1:
            predicts = COUNTED.get(reading.metric, predicts)
        every = [_over(reading, one, predicts) for one in found.estimates]
        every += [HELD[reading.metric](one) for one in found.held]
        ends = [bounds for bounds in every if bounds is not None]
        if not ends:
            return Unscored(slug, run, reading, f"no ledger of this task has {reading.metric}")
        held = min(
            [_held_over(reading, one) for one in found.estimates] or [_held(one, reading.metric) for one in found.held]
        )
        if max(reading.bytes) < held * (1 - _PRINTED_GAP):
            reason = f"below the {held / 10**9:.2f} GB of weights and cache that were on the GPU"
            return Unscored(slug, run, reading, reason, apart=True)
        estimated = min(low for low, _ in ends), max(high for _, high in ends)
        family = self.look_up.model_type(run.scenario) or "unknown"
        complete = len(set(ends)) == 1 and len(reading.bytes) == 1 and not _goes_by_speed(reading, found)
        read = _nearest(reading.bytes, estimated)
        settings = tuple(one.setting for one in found.estimates)
        return Score(slug, run, reading, read, estimated, complete, family, _unversioned(run), found.largest, settings)

    def answered(self, run: PublishedRun) -> _Found:
        if run.beyond:
            return _Found(refused="; ".join(f"{name}: {text}" for name, text in sorted(run.beyond.items())))
        key = _said(run)
        if key not in self._known:
            self._known[key] = self._estimated(run)
        return self._known[key]

    def _estimated(self, run: PublishedRun) -> _Found:
        """The estimates at the extremes of what the run leaves open, or why there are none."""
        scenario = replace(run.scenario, model_type=self.look_up.model_type(run.scenario))
        try:
            found = answer(scenario, self.base)
        except REFUSALS as refusal:
            return _Found(refused=str(refusal), held=self._held(scenario))
        except TooManySettingsError as error:
            return _Found(refused=str(error))
        if found is None:
            return _Found(refused=f"model not known: {scenario.model}")
        return _Found(found.estimates)

    def _held(self, scenario: Scenario) -> tuple[Holdings, ...]:
        """The memory held between steps; empty where that is not known either."""
        try:
            return held_at_extremes(scenario, self.base)
        except (*REFUSALS, TooManySettingsError):
            return ()


def _goes_by_speed(reading: Reading, found: _Found) -> bool:
    """Whether the reading depends on the speed of the GPU relative to its host, which no record states."""
    return reading.metric in REPLAYED and any(gathers_unlimited(one.setting) for one in found.estimates)


def _over(reading: Reading, estimate: Estimate, predicts: Predicts) -> Bytes | None:
    """The prediction for the GPUs that a reading covers: the one that needs most, or the sum of all."""
    if reading.over != "sum":
        return predicts(estimate)
    each = [predicts(one) for one in estimate.each]
    known = [bounds for bounds in each if bounds is not None]
    return (sum(low for low, _ in known), sum(high for _, high in known)) if len(known) == len(each) else None


def _held_over(reading: Reading, estimate: Estimate) -> int:
    each = estimate.each if reading.over == "sum" else (estimate,)
    return sum(_held(one, reading.metric) for one in each)


def _held(estimate: Holdings, metric: str) -> int:
    """The bytes that no reading of a run can be below: its weights, and at a peak of inference the cache of all tokens.

    Both follow from shapes and dtypes alone, without any formula for what is computed.
    """
    found = weights_bytes(estimate) if metric not in PARTS else None
    last = estimate.ledger.phase(PhaseName.DECODE) if metric in ("allocated", "reserved") else None
    return (found[0] if found else 0) + (last.of(Category.KV_CACHE) if last else 0)


def _nearest(amounts: tuple[int, ...], estimated: Bytes) -> int:
    """Of the amounts that a figure may mean, the one nearest to the estimate."""
    low, high = estimated
    return min(amounts, key=lambda amount: max(low - amount, amount - high, 0) / max(abs(amount), 1))


def _said(run: PublishedRun) -> str:
    return json.dumps({name: repr(said.value) for name, said in sorted(run.scenario.fields.items())})


def _unversioned(run: PublishedRun) -> str:
    fields = run.scenario.fields.items()
    return json.dumps({name: repr(said.value) for name, said in sorted(fields) if not name.startswith(_VERSIONED)})
