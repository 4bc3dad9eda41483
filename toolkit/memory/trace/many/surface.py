"""One set of traces for every batch and length: few layers at a few sizes, written out for all layers at any size.

Which operations run goes by conditions that a larger batch or a longer sequence can only turn one way (a window that is
full, indices too many to be summed as they stand). So where the same run at the smallest and at the largest size, they
run at every size between. What goes by remainders instead is in sizes.py, or keeps sizes apart (`kind_of`).
"""

from __future__ import annotations

from dataclasses import replace

from toolkit.facts.models import ModelFacts
from toolkit.frozen import frozen
from toolkit.memory.timeline.pattern import NoPatternError
from toolkit.memory.timeline.sizes import (
    MASK_ALIGNMENT,
    Form,
    Forms,
    NoFormError,
    Point,
    SizedRun,
    StagedForm,
    same_events,
    sized,
)
from toolkit.memory.timeline.stream import Run
from toolkit.memory.timeline.timeline import Allocation
from toolkit.memory.trace.many.layers import Grown, Layers, Say, grow, layers_of, same, silent, whole_run, with_layers
from toolkit.memory.trace.several_gpus.dispatched import dispatches
from toolkit.spec.settings.setting import Setting

PASSES = 8
"""How often all layers would be traced at least."""

LARGEST_TILE = 128
REMAINDERS = {1: (37, 91, 75), MASK_ALIGNMENT: (40, 88, 56)}
"""What lengths leave over of whole tiles: different numbers, of which none is zero, so that rounding shows."""

ROOM = 24
"""So many lengths leave room for that."""


def at_point(setting: Setting, point: Point) -> Setting:
    """The setting with another batch and length."""
    return replace(setting, batch_size=point[0], sequence_length=point[1])


def kind_of(point: Point) -> tuple[bool, bool]:
    """What only sizes that are alike have in common.

    Kernels want masks whose rows are aligned, and pad others; one sequence is never copied to lie in one piece.
    """
    return point[0] == 1, point[1] % MASK_ALIGNMENT == 0


@frozen
class Surface:
    """The run of every layer at any size from `low` to `high` and of the kind of `low`; `how` says from what."""

    sized: SizedRun
    low: Point
    high: Point
    how: str

    def at(self, point: Point) -> Run:
        """The run at a batch and a length. Raises NoFormError."""
        return self.sized.at(point)


class Sizes:
    """The sizes of one setting, traced with few layers where these prove to be alike; each size once.

    Raises UnsupportedTrace.
    """

    def __init__(self, setting: Setting, facts: ModelFacts, say: Say = silent) -> None:
        self._setting, self._facts, self._say = setting, facts, say
        self._layers = layers_of(facts) if not dispatches(setting) else None
        self._runs: dict[tuple[int | None, Point], Run] = {}
        self._grown: dict[Point, Grown | None] = {}

    def small(self, point: Point, count: int | None) -> Run:
        """The run of so many layers at a size; None: of all."""
        key = count, point
        if key not in self._runs:
            which = "every layer" if count is None else f"{count} layers"
            self._say(f"tracing {which} at batch {point[0]:,} and length {point[1]:,}")
            facts = self._facts if count is None else with_layers(self._facts, self._known_layers, count)
            self._runs[key] = whole_run(at_point(self._setting, point), facts)
        return self._runs[key]

    def alike(self, one: Point, other: Point) -> bool:
        """Whether the same operations run at two sizes."""
        count = self._start(one)
        return same_events(self.small(one, count), self.small(other, count))

    def surface(self, low: Point, high: Point) -> Surface:
        """The run of all layers at any size between two. Raises NoFormError and NoPatternError where there is none.

        Held against a run of more layers, at a size that nothing was learnt from, event by event.
        """
        points, proof = _points(low, high)
        grown, count = self._pattern(low), self._start(low)
        first = self.small(low, count)
        for point in (high, *points):
            if not same_events(first, self.small(point, count)):
                raise NoFormError(
                    f"other operations run at {point[0]:,} x {point[1]:,} than at {low[0]:,} x {low[1]:,}"
                )
        forms = _forms([self.small(point, count).timeline.allocations for point in points], points)
        if grown is None:
            more, whole = None, sized(first, range(len(forms)), forms)
            proven = whole
        else:
            more = grown.traced[-1]
            whole, proven = (_written(grown, layers, forms) for layers in (self._known_layers.count, more))
        if not same(proven.at(proof), self.small(proof, more)):
            raise NoFormError(f"sizes at {_said(proof)} differ from those predicted from others")
        return Surface(whole, low, high, self._how(grown, points, proof))

    @property
    def _known_layers(self) -> Layers:
        assert self._layers is not None, "asked only where layers are counted"
        return self._layers

    def _pattern(self, point: Point) -> Grown | None:
        if point not in self._grown:
            found = None
            if self._layers is not None:
                found = self._grow(at_point(self._setting, point), self._layers)
            self._grown[point] = found
            if found is not None:
                self._runs[found.start, point] = found.run(found.start)
        return self._grown[point]

    def _grow(self, setting: Setting, layers: Layers) -> Grown | None:
        try:
            return grow(setting, self._facts, layers, self._say, passes=PASSES)
        except NoPatternError as refusal:
            self._say(f"the layers are not alike: {refusal}")
            return None

    def _start(self, point: Point) -> int | None:
        grown = self._pattern(point)
        return None if grown is None else grown.start

    def _how(self, grown: Grown | None, points: list[Point], proof: Point) -> str:
        sizes = f"{len(points)} sizes, proven at {_said(proof)}"
        if grown is None:
            return f"every layer at {sizes}"
        return f"{self._known_layers.count} layers from {', '.join(map(str, grown.traced))} at {sizes}"


def _said(point: Point) -> str:
    return f"{point[0]:,} x {point[1]:,}"


def _forms(seen: list[list[Allocation]], points: list[Point]) -> list[Form | StagedForm]:
    found = Forms(points)
    return [found.of_allocations(same) for same in zip(*seen, strict=True)]


def _written(grown: Grown, layers: int, forms: list[Form | StagedForm]) -> SizedRun:
    """Every layer, each allocation with the form of the one that it repeats."""
    run, origins = grown.written(layers)
    return sized(run, origins, forms)


def _points(low: Point, high: Point) -> tuple[list[Point], Point]:
    """The sizes to learn from, both ends among them, and one between to prove it by.

    A third batch shows what begins at some batch, and what one length shows of it holds for all.
    """
    lengths, between = _lengths(low[1], high[1], MASK_ALIGNMENT if low[1] % MASK_ALIGNMENT == 0 else 1)
    batches = sorted({low[0], high[0]})
    points = [(batch, length) for length in lengths for batch in batches]
    middle = (low[0] + high[0]) // 2
    further = [] if middle in batches else [(middle, lengths[len(lengths) // 2])]
    return points + further, (min(middle + 1, high[0]), between)


def _lengths(low: int, high: int, step: int) -> tuple[list[int], int]:
    """Four lengths to learn from, or as many as there are, and one to prove it by."""
    possible = range(low, high + 1, step)
    count = len(possible)
    parts = [possible[count * third // 6] for third in (2, 4, 3)]
    if count > ROOM:
        unit = min(LARGEST_TILE, 1 << ((high - low) // 6).bit_length() - 1)
        parts = [part - part % unit + rest % unit for part, rest in zip(parts, REMAINDERS[step], strict=True)]
    return sorted({low, *parts[:2], possible[-1]}), parts[2]
