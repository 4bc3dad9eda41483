"""Errors over distinct runs: repeats of one configuration are one run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import prod
from statistics import fmean, median
from typing import cast

from toolkit.accuracy.score import Score
from toolkit.accuracy.shown_field import shown_field
from toolkit.frozen import frozen
from toolkit.spec.scenario import Scenario

CLOSE, NEAR = 0.05, 0.10


@frozen
class RunError:
    """One distinct run: the means over its repeats of absolute error, signed error and width, as shares."""

    absolute: float
    signed: float
    width: float


@frozen
class Errors:
    """The errors of a group of distinct runs, as shares of what was read. `bias` is the mean of signed errors."""

    runs: int
    readings: int
    median: float
    p90: float
    p95: float
    worst: float
    bias: float
    within_5: float
    within_10: float
    inside: float
    width: float


@frozen
class Group:
    """The errors of a group of readings of one metric: those whose `by` is `value`; complete and open ones apart."""

    metric: str
    complete: bool
    half: str
    by: str
    value: str
    errors: Errors


BY: Mapping[str, Callable[[Score], str]] = {
    "all": lambda _score: "all",
    "source": lambda score: score.source,
    "task": lambda score: score.run.scenario.task,
    "method": lambda score: score.run.scenario.method,
    "family": lambda score: score.family,
    "weights": lambda score: shown_field(score.run, "weights"),
    "gpus": lambda score: str(_gpus(score.run.scenario)),
    "source and method": lambda score: f"{score.source} {score.run.scenario.method}",
}
"""The ways to group the readings of a metric."""


def _gpus(scenario: Scenario) -> int:
    """GPUs of a copy or a pipeline, with those that a layer is split over."""
    return prod(cast("int", scenario.fixed(f"parallel.{name}") or 1) for name in ("gpus", "tensor_parallel"))


def distinct(scores: Iterable[Score]) -> list[RunError]:
    """The error of each distinct run, in the order of first appearance."""
    repeats: dict[tuple[str, str, str, str], list[Score]] = {}
    for score in scores:
        repeats.setdefault(score.identity, []).append(score)
    return [_run_error(same) for same in repeats.values()]


def _run_error(same: Sequence[Score]) -> RunError:
    errors = [score.error for score in same]
    return RunError(fmean([*map(abs, errors)]), fmean(errors), fmean([score.width for score in same]))


def errors_of(scores: Sequence[Score]) -> Errors:
    """The errors of readings (at least one), over their distinct runs."""
    runs = distinct(scores)
    absolute = sorted(run.absolute for run in runs)
    return Errors(
        runs=len(runs),
        readings=len(scores),
        median=median(absolute),
        p90=percentile(absolute, 0.90),
        p95=percentile(absolute, 0.95),
        worst=absolute[-1],
        bias=fmean(run.signed for run in runs),
        within_5=_share(absolute, CLOSE),
        within_10=_share(absolute, NEAR),
        inside=_share(absolute, 0.0),
        width=median(run.width for run in runs),
    )


def percentile(ordered: Sequence[float], share: float) -> float:
    """The value below which that share of ordered values lies, linear between neighbours."""
    position = share * (len(ordered) - 1)
    below = int(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - below)


def groups(scores: Iterable[Score], half: str) -> list[Group]:
    """Every group of some readings, in a fixed order."""
    found: dict[tuple[str, bool, str, str], list[Score]] = {}
    for score in scores:
        for by, value_of in BY.items():
            found.setdefault((score.reading.metric, score.complete, by, value_of(score)), []).append(score)
    order = {by: index for index, by in enumerate(BY)}
    keys = sorted(found, key=lambda key: (key[0], not key[1], order[key[2]], key[3]))
    return [Group(key[0], key[1], half, key[2], key[3], errors_of(found[key])) for key in keys]


def _share(absolute: Sequence[float], most: float) -> float:
    return sum(error <= most for error in absolute) / len(absolute)
