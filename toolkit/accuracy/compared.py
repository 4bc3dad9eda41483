"""Comparisons: the readings of a run with the estimates at the extremes of what it leaves open."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

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
from toolkit.spec.published_lines import PublishedRun, Reading
from toolkit.spec.scenario import Scenario

SUM, LAST = "sum", "last"
ONE_BY_ONE = (SUM, LAST)
"""What is read over several GPUs of which each is to be known: what the fullest holds says nothing of it."""
_PRINTED_GAP = 0.005
"""The share by which a reading may be below the weights: rounding of its digits, and small buffers."""


@frozen
class Answered:
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


class Compared(NamedTuple):
    """What a comparison adds to a reading: values that another process may hand over, as of a score."""

    read: int
    estimated: Bytes
    complete: bool
    family: str


class Left(NamedTuple):
    """The same where there is no score."""

    reason: str
    apart: bool = False


@dataclass(slots=True)
class Comparer:
    """Estimates runs, and compares their readings."""

    look_up: LookUp
    base: Path
    _known: dict[str, Answered] = field(default_factory=dict)

    def of(self, run: PublishedRun) -> Iterator[Compared | Left]:
        """The comparison of each of a run's readings."""
        found = self.answered(run)
        for reading in run.readings:
            if reading.apart is not None:
                yield Left(reading.apart, apart=True)
            elif found.refused and (not found.held or reading.metric not in HELD or reading.over in ONE_BY_ONE):
                yield Left(found.refused)
            else:
                try:
                    yield self._compared(run, reading, found)
                except UnsupportedRow as refusal:
                    yield Left(str(refusal))

    def _compared(self, run: PublishedRun, reading: Reading, found: Answered) -> Compared | Left:
        predicts = PREDICTS[reading.metric]
        if isinstance(predicts, str):
            return Left(predicts)
        if len(found.estimates) == 1:
            predicts = COUNTED.get(reading.metric, predicts)
        every = [_over(reading, one, predicts) for one in found.estimates]
        every += [HELD[reading.metric](one) for one in found.held]
        ends = [bounds for bounds in every if bounds is not None]
        if not ends:
            return Left(f"no ledger of this task has {reading.metric}")
        held = min(
            [_held_over(reading, one) for one in found.estimates] or [_held(one, reading.metric) for one in found.held]
        )
        if max(reading.bytes) < held * (1 - _PRINTED_GAP):
            return Left(f"below the {held / 10**9:.2f} GB of weights and cache that were on the GPU", apart=True)
        estimated = min(low for low, _ in ends), max(high for _, high in ends)
        family = self.look_up.model_type(run.scenario) or "unknown"
        complete = len(set(ends)) == 1 and len(reading.bytes) == 1 and not _goes_by_speed(reading, found)
        return Compared(_nearest(reading.bytes, estimated), estimated, complete, family)

    def answered(self, run: PublishedRun) -> Answered:
        """The estimates of a run, made once for all runs that state the same."""
        if run.beyond:
            return Answered(refused="; ".join(f"{name}: {text}" for name, text in sorted(run.beyond.items())))
        key = _said(run)
        if key not in self._known:
            self._known[key] = self._estimated(run)
        return self._known[key]

    def _estimated(self, run: PublishedRun) -> Answered:
        """The estimates at the extremes of what the run leaves open, or why there are none."""
        scenario = replace(run.scenario, model_type=self.look_up.model_type(run.scenario))
        try:
            found = answer(scenario, self.base)
        except REFUSALS as refusal:
            return Answered(refused=str(refusal), held=self._held(scenario))
        except TooManySettingsError as error:
            return Answered(refused=str(error))
        if found is None:
            return Answered(refused=f"model not known: {scenario.model}")
        return Answered(found.estimates)

    def _held(self, scenario: Scenario) -> tuple[Holdings, ...]:
        """The memory held between steps; empty where that is not known either."""
        try:
            return held_at_extremes(scenario, self.base)
        except (*REFUSALS, TooManySettingsError):
            return ()


def _goes_by_speed(reading: Reading, found: Answered) -> bool:
    """Whether the reading depends on the speed of the GPU relative to its host, which no record states."""
    return reading.metric in REPLAYED and any(gathers_unlimited(one.setting) for one in found.estimates)


def _over(reading: Reading, estimate: Estimate, predicts: Predicts) -> Bytes | None:
    """The prediction for the GPUs that a reading covers: the one that needs most, the last, or the sum of all."""
    if reading.over == LAST:
        return predicts(estimate.each[-1])
    if reading.over != SUM:
        return predicts(estimate)
    each = [predicts(one) for one in estimate.each]
    known = [bounds for bounds in each if bounds is not None]
    return (sum(low for low, _ in known), sum(high for _, high in known)) if len(known) == len(each) else None


def _held_over(reading: Reading, estimate: Estimate) -> int:
    each = {SUM: estimate.each, LAST: estimate.each[-1:]}.get(reading.over or "", (estimate,))
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
