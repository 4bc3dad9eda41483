"""Many batches and lengths of one setting, from one set of traces as far as that is proven to be the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from toolkit.facts.models import ModelFacts
from toolkit.memory.timeline.pattern import NoPatternError
from toolkit.memory.timeline.sizes import NoFormError, Point
from toolkit.memory.timeline.stream import Run
from toolkit.memory.trace.many.layers import Say, grown_run, silent
from toolkit.memory.trace.many.surface import Sizes, Surface, at_point, kind_of
from toolkit.memory.trace.trace import Trace, accounted
from toolkit.spec.settings.setting import Setting

FEW = 3
"""So many sizes are traced for themselves with less work than it takes to learn how sizes grow."""


def swept(setting: Setting, facts: ModelFacts, points: Iterable[Point], say: Say = silent) -> Iterator[Trace]:
    """The trace of each batch and length, in their order. Raises UnsupportedTrace."""
    for point, run, how in sorted(_Sweep(setting, facts, say).runs(points), key=lambda found: found[0]):
        yield accounted(at_point(setting, point), run, how)


Found = tuple[Point, Run, str]


class _Sweep:
    def __init__(self, setting: Setting, facts: ModelFacts, say: Say) -> None:
        self._setting, self._facts, self._say = setting, facts, say
        self._sizes = Sizes(setting, facts, say)

    def runs(self, points: Iterable[Point]) -> Iterator[Found]:
        """The run of each point and how it was found; sizes of a kind are answered together."""
        for _, alike in groupby(sorted(set(points), key=lambda point: (kind_of(point), point)), key=kind_of):
            yield from self._together(sorted(alike))

    def _together(self, points: Sequence[Point]) -> Iterator[Found]:
        if len(points) <= FEW:
            for point in points:
                self._say(f"tracing batch {point[0]:,} and length {point[1]:,}")
                run, how = grown_run(at_point(self._setting, point), self._facts)
                yield point, run, how
            return
        low, high = _corners(points)
        parts = self._parts(points, low, high)
        surface = None if len(parts) > 1 else self._surface(low, high)
        if surface is not None:
            for point in points:
                yield point, surface.at(point), surface.how
            return
        for part in parts if len(parts) > 1 else _halves(points):
            yield from self._together(part)

    def _surface(self, low: Point, high: Point) -> Surface | None:
        try:
            return self._sizes.surface(low, high)
        except (NoFormError, NoPatternError) as refusal:
            self._say(f"sizes are no functions: {refusal}")
            return None

    def _parts(self, points: Sequence[Point], low: Point, high: Point) -> list[list[Point]]:
        """Points at which the same operations run: split at the batch or at the length from which others do."""
        for axis, end in ((0, (high[0], low[1])), (1, (low[0], high[1]))):
            if low != end and not self._sizes.alike(low, end):
                values = sorted({point[axis] for point in points} | {low[axis]})
                last = self._last_alike(low, axis, values)
                parts = ([p for p in points if p[axis] <= last], [p for p in points if p[axis] > last])
                return [part for part in parts if part]
        return [list(points)]

    def _last_alike(self, low: Point, axis: int, values: Sequence[int]) -> int:
        """The largest of ascending values at which the same operations run as at the first; not so at the last."""
        first, end = 0, len(values) - 1
        while end - first > 1:
            middle = (first + end) // 2
            alike = self._sizes.alike(low, _along(low, axis, values[middle]))
            first, end = (middle, end) if alike else (first, middle)
        return values[first]


def _corners(points: Sequence[Point]) -> tuple[Point, Point]:
    batches, lengths = zip(*points, strict=True)
    return (min(batches), min(lengths)), (max(batches), max(lengths))


def _along(low: Point, axis: int, value: int) -> Point:
    return (value, low[1]) if axis == 0 else (low[0], value)


def _halves(points: Sequence[Point]) -> list[list[Point]]:
    """The points in two parts, by the coordinate that has more values."""
    axis = 0 if len({point[0] for point in points}) > len({point[1] for point in points}) else 1
    ordered = sorted(points, key=lambda point: point[axis])
    half = len(ordered) // 2
    return [ordered[:half], ordered[half:]]
