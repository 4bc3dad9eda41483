"""Replays for all readings of reserved memory, by all cores and ahead: they are most of a table's work."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from toolkit.accuracy.metrics import REPLAYED
from toolkit.checks.side_by_side import side_by_side
from toolkit.memory.estimate import Estimate
from toolkit.memory.replay.orders import compile_replays
from toolkit.memory.replay.reserved import remember, unknown_runs, worked_out
from toolkit.spec.published import PublishedSource
from toolkit.spec.published_lines import PublishedRun

MANY = 100
"""So many replays take longer than numba takes to load."""

EstimatesOf = Callable[[PublishedRun], Sequence[Estimate]]


def replay_ahead(sources: Sequence[PublishedSource], estimates_of: EstimatesOf) -> None:
    """Works out what the allocator reserves in each run that is asked for, so that it is known when it is compared.

    What is estimated of the other runs is not handed over by processes: the first one does it while others replay.
    """
    alike = unknown_runs(_asked(sources, estimates_of))
    if sum(map(len, alike)) >= MANY:
        compile_replays()

    def estimate_others() -> None:
        for source in sources:
            for run in source.runs:
                estimates_of(run)

    found = side_by_side(lambda runs: [worked_out(*run) for run in runs], alike, estimate_others)
    for runs, all_worked in zip(alike, found, strict=True):
        for run, worked in zip(runs, all_worked, strict=True):
            remember(*run, worked)


def _asked(sources: Iterable[PublishedSource], estimates_of: EstimatesOf) -> Iterator[Estimate]:
    for source in sources:
        for run in source.runs:
            if any(reading.metric in REPLAYED and reading.apart is None for reading in run.readings):
                for one in estimates_of(run):
                    yield from one.parts or (one,)
