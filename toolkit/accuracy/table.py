"""The open table of errors: groups of both halves, the bars, the worst runs, and what was not estimated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import product
from statistics import fmean

from toolkit.accuracy.bars import OTHER_KERNELS, Miss, is_alone, is_stock, misses
from toolkit.accuracy.score import DEVELOPMENT, HELD_OUT, Score, Scores, Unscored
from toolkit.accuracy.statistics import Errors, Group, errors_of, groups
from toolkit.frozen import frozen

COLUMNS = ("inference", "full", "lora", "qlora")
WORST = 20
BOTH = "both"


@frozen
class Column:
    """Peaks of live tensors on one GPU, complete, of grade A; `median` and `p95` are means over sources."""

    name: str
    half: str
    runs: int
    median: float
    p95: float
    sources: tuple[tuple[str, Errors], ...]


@frozen
class Reason:
    """A reason why readings of a source have no score, with the number of runs and readings."""

    source: str
    reason: str
    apart: bool
    runs: int
    readings: int


@frozen
class Table:
    """The table of errors of estimates."""

    columns: tuple[Column, ...]
    misses: tuple[Miss, ...]
    groups: tuple[Group, ...]
    worst: tuple[Score, ...]
    reasons: tuple[Reason, ...]
    runs: int
    readings: int
    scored: int


def table(scores: Scores, *, worst_half: str = DEVELOPMENT) -> Table:
    """The table of some scores; the worst runs are those of one half, so that the other stays unseen."""
    halves = {
        DEVELOPMENT: [score for score in scores.scored if score.half == DEVELOPMENT],
        HELD_OUT: [score for score in scores.scored if score.half == HELD_OUT],
        BOTH: list(scores.scored),
    }
    shown = halves.get(worst_half, halves[BOTH])
    return Table(
        columns=tuple(column for half, of in halves.items() for column in _columns(of, half)),
        misses=tuple(misses(scores)),
        groups=tuple(group for half, of in halves.items() for group in groups(of, half)),
        worst=tuple(worst(shown)),
        reasons=tuple(reasons(scores.unscored)),
        runs=len(
            {(one.source, one.run.run) for one in scores.scored}
            | {(one.source, one.run.run) for one in scores.unscored}
        ),
        readings=len(scores.scored) + len(scores.unscored),
        scored=len(scores.scored),
    )


def _columns(scores: Sequence[Score], half: str) -> Iterable[Column]:
    """The columns that have any runs. Kernels that are not the model's own code have columns of their own."""
    eligible = [one for one in scores if one.reading.metric == "allocated" and one.complete and one.run.grade == "A"]
    for name, stock in product(COLUMNS, (True, False)):
        by_source: dict[str, list[Score]] = {}
        for score in eligible:
            scenario = score.run.scenario
            if scenario.method == name and is_alone(scenario) and is_stock(scenario) is stock:
                by_source.setdefault(score.source, []).append(score)
        if by_source:
            sources = tuple((source, errors_of(of)) for source, of in sorted(by_source.items()))
            yield Column(
                name if stock else f"{name}, {OTHER_KERNELS}",
                half,
                sum(errors.runs for _, errors in sources),
                fmean(errors.median for _, errors in sources),
                fmean(errors.p95 for _, errors in sources),
                sources,
            )


def worst(scores: Iterable[Score], count: int = WORST) -> list[Score]:
    """The worst reading of each of the worst distinct runs."""
    of_run: dict[tuple[str, str, str, str], Score] = {}
    for score in scores:
        known = of_run.get(score.identity)
        if known is None or abs(score.error) > abs(known.error):
            of_run[score.identity] = score
    return sorted(of_run.values(), key=lambda score: (-abs(score.error), score.reading.id))[:count]


def reasons(unscored: Iterable[Unscored]) -> list[Reason]:
    """The reasons why readings have no score, those with most readings first."""
    readings: Counter[tuple[str, str, bool]] = Counter()
    runs: dict[tuple[str, str, bool], set[str]] = {}
    for one in unscored:
        key = (one.source, one.reason, one.apart)
        readings[key] += 1
        runs.setdefault(key, set()).add(one.run.run)
    keys = sorted(readings, key=lambda key: (key[2], -readings[key], key))
    return [Reason(*key, runs=len(runs[key]), readings=readings[key]) for key in keys]
