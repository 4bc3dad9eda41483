"""Replays the runs with readings of reserved memory ahead, on all cores: they are most of a table's work."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Sequence

from toolkit.accuracy.metrics import COUNTED, REPLAYED
from toolkit.checks.side_by_side import side_by_side
from toolkit.memory.estimate import Estimate
from toolkit.memory.replay.orders import compile_replays
from toolkit.memory.replay.reserved import Asked, Worked, remember, runs_of, worked_out
from toolkit.spec.published import PublishedSource
from toolkit.spec.published_lines import PublishedRun

MANY = 100
"""From so many replays on, it pays to load numba."""

EstimatesOf = Callable[[PublishedRun], Sequence[Estimate]]


def replay_ahead(sources: Sequence[PublishedSource], estimates_of: EstimatesOf) -> None:
    """Computes and caches what the allocator reserves in the runs that need it, before they are compared.

    Estimates are not passed between processes: this one makes all of them while the others begin to replay.
    """
    groups = asked_runs(sources)
    if sum(map(len, groups)) >= MANY:
        compile_replays()
    waiting = 0

    def replay(group: Sequence[PublishedRun]) -> list[tuple[object, ...]]:
        nonlocal waiting
        asked = [*_replayed_of(group, estimates_of)]
        waiting += len(asked)
        if waiting >= MANY:  # few runs may still span many settings
            compile_replays()
        return [tuple(worked_out(*one)) for one in asked]  # plain values are all that other processes may hand over

    def estimate_all() -> None:
        for source in sources:
            for run in source.runs:
                estimates_of(run)

    found = side_by_side(replay, groups, estimate_all)
    for group, worked in zip(groups, found, strict=True):
        for one, known in zip(_replayed_of(group, estimates_of), worked, strict=True):
            remember(*one, Worked._make(known))


def asked_runs(sources: Iterable[PublishedSource]) -> list[list[PublishedRun]]:
    """The runs with a reading that may need a replay, grouped by model and method, the largest group first."""
    groups: dict[tuple[object, ...], list[PublishedRun]] = {}
    for source in sources:
        for run in source.runs:
            if _has(run, REPLAYED) or (_has(run, COUNTED) and run.scenario.fixed("method") != "inference"):
                alike = tuple(run.scenario.possible(name) for name in ("model", "method"))
                groups.setdefault(alike, []).append(run)
    return sorted(groups.values(), key=len, reverse=True)


def _has(run: PublishedRun, metrics: Container[str]) -> bool:
    return any(reading.metric in metrics and reading.apart is None for reading in run.readings)


def _replayed_of(runs: Iterable[PublishedRun], estimates_of: EstimatesOf) -> Iterator[Asked]:
    """The replays of runs, in a fixed order that all processes share; blocks are counted where nothing is open."""
    for run in runs:
        estimates = estimates_of(run)
        if len(estimates) > 1 and not _has(run, REPLAYED):
            continue
        for one in estimates:
            yield from runs_of(one.parts or (one,))
