"""The bars that estimates are held to, and the sources where they miss one.

A column groups readings that are compared by themselves: peaks of live tensors by method, on one GPU and on several,
with stock and with other kernels; reserved memory; device memory. Only complete readings count, for live tensors only
those of grade A.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from toolkit.accuracy.score import Score, Scores
from toolkit.accuracy.statistics import Errors, distinct, errors_of
from toolkit.frozen import frozen
from toolkit.spec.scenario import Scenario

OTHER_KERNELS = "other kernels"
SEVERAL = "several GPUs"


@frozen
class Bar:
    """The largest errors allowed for the runs of one column and source, as shares of what was read; None: no limit.

    `outside` is the share of runs whose reading lies outside its interval, `width` the width of the widest interval.
    """

    median: float | None = None
    p95: float | None = None
    outside: float | None = None
    width: float | None = None


@frozen
class Miss:
    """A source that misses the bar of a column: by how much, and the known causes, from its header."""

    source: str
    column: str
    errors: Errors
    widest: float
    over: tuple[str, ...]
    causes: tuple[str, ...]


ONE_GPU = Bar(median=0.03, p95=0.10)
SEVERAL_GPUS = Bar(median=0.05, p95=0.15)
RESERVED = Bar(outside=0.10, width=0.24)
"""An interval of 12 % to either side."""
DEVICE = Bar(median=0.05)


def misses(scores: Scores) -> list[Miss]:
    """Every source that misses the bar of a column that it has complete readings of, in a fixed order."""
    found: dict[tuple[str, str], list[Score]] = {}
    for score in scores.scored:
        column = column_of(score)
        if column is not None:
            found.setdefault((score.source, column), []).append(score)
    return [
        miss
        for (source, column), of in sorted(found.items())
        if (miss := _missed(source, column, of, scores.causes.get(source, ()))) is not None
    ]


def column_of(score: Score) -> str | None:
    """The column that a reading counts in; None where it counts in none."""
    metric, scenario = score.reading.metric, score.run.scenario
    if not score.complete or metric not in _BARS:
        return None
    if metric != "allocated":
        return metric
    if score.run.grade != "A":
        return None
    several = () if is_alone(scenario) else (SEVERAL,)
    return ", ".join((scenario.method, *several, *(() if is_stock(scenario) else (OTHER_KERNELS,))))


def is_alone(scenario: Scenario) -> bool:
    """Whether a run uses one GPU."""
    return all(scenario.fixed(f"parallel.{name}") in (None, 1) for name in ("gpus", "tensor_parallel"))


def is_stock(scenario: Scenario) -> bool:
    """Whether a run uses the model's own code with stock kernels, and for inference those of its weight format."""
    usual = "kernels.gptq" if scenario.method == "inference" else ""
    named = any(name.startswith("kernels.") and name != usual for name in scenario.fields)
    return not named and scenario.fixed("stack.loss") != "in-place" and scenario.fixed("stack.trainer") != "autoawq"


def _missed(source: str, column: str, scores: Sequence[Score], causes: tuple[str, ...]) -> Miss | None:
    errors, widest = errors_of(scores), max(run.width for run in distinct(scores))
    bar = _BARS.get(column) or (SEVERAL_GPUS if SEVERAL in column else ONE_GPU)
    over = tuple(name for name, reached in _REACHED.items() if _above(reached(errors, widest), getattr(bar, name)))
    return Miss(source, column, errors, widest, over, causes) if over else None


def _above(reached: float, most: float | None) -> bool:
    return most is not None and reached > most


_BARS: Mapping[str, Bar | None] = {"allocated": None, "reserved": RESERVED, "device": DEVICE}
"""The bar of each metric; that of live tensors depends on the number of GPUs."""

_REACHED: Mapping[str, Callable[[Errors, float], float]] = {
    "median": lambda errors, _widest: errors.median,
    "p95": lambda errors, _widest: errors.p95,
    "outside": lambda errors, _widest: 1 - errors.inside,
    "width": lambda _errors, widest: widest,
}
