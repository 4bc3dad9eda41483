"""How the runs of a table are shared out among processes, and when it pays to compile their replays."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass

from toolkit.accuracy.metrics import COUNTED, REPLAYED
from toolkit.memory.estimate import Estimate
from toolkit.memory.replay.orders import MANY, compile_replays
from toolkit.memory.replay.reserved import Asked, runs_of
from toolkit.spec.published_lines import PublishedRun

EstimatesOf = Callable[[PublishedRun], Sequence[Estimate]]


def groups_of(runs: Sequence[PublishedRun]) -> list[list[int]]:
    """The places of runs of one model and method, which share most of what they are worked out from.

    First the group with most runs that may need a replay: those are most of a table's work.
    """
    groups: dict[tuple[object, ...], list[int]] = {}
    for place, run in enumerate(runs):
        alike = tuple(run.scenario.possible(name) for name in ("model", "method"))
        groups.setdefault(alike, []).append(place)
    return sorted(groups.values(), key=lambda group: (sum(is_asked(runs[place]) for place in group), len(group)))[::-1]


def is_asked(run: PublishedRun) -> bool:
    """Whether a run has a reading that may need a replay."""
    return _has(run, REPLAYED) or _has(run, COUNTED)


@dataclass(slots=True)
class Ahead:
    """Looks ahead how many replays wait, for few runs may still span many settings: many are compiled."""

    estimates_of: EstimatesOf
    waiting: int = 0

    def look(self, runs: Iterable[PublishedRun]) -> None:
        """Takes note of the replays of runs that are about to be compared."""
        self.waiting += sum(1 for _ in self._replays(runs))
        if self.waiting >= MANY:
            compile_replays()

    def _replays(self, runs: Iterable[PublishedRun]) -> Iterator[Asked]:
        """The replays of runs; blocks are counted where nothing is open."""
        for run in filter(is_asked, runs):
            estimates = self.estimates_of(run)
            if len(estimates) == 1 or _has(run, REPLAYED):
                yield from runs_of(part for one in estimates for part in one.parts or (one,))


def _has(run: PublishedRun, metrics: Container[str]) -> bool:
    return any(reading.metric in metrics and reading.apart is None for reading in run.readings)
