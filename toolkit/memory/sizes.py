"""Sizes as polynomials of a batch or of a length: from a few timelines with the same events, the one of any value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from toolkit.frozen import frozen
from toolkit.memory.pattern import NoPatternError
from toolkit.memory.stream import Run
from toolkit.memory.timeline import Timeline


@frozen
class SizedRun:
    """A run whose allocations are polynomials; `forms` names each one by the sizes that it goes through."""

    run: Run
    points: tuple[int, ...]
    forms: tuple[tuple[int, ...], ...]

    def at(self, value: int) -> Run:
        """The run at a value. Raises NoPatternError where a size would be no whole number of bytes."""
        weights = _weights(self.points, value)
        sizes = {form: _size(weights, form) for form in set(self.forms)}
        old = self.run.timeline
        made = [
            one if one.bytes == sizes[form] else replace(one, bytes=sizes[form])
            for one, form in zip(old.allocations, self.forms, strict=True)
        ]
        return Run(Timeline(made, old.events, old.marks), self.run.kinds)


def sized(runs: Mapping[int, Run], proof: int) -> SizedRun:
    """The polynomials through all runs but that at `proof`, which they must give, byte by byte.

    Raises NoPatternError where events differ or a size at `proof` is another.
    """
    points = tuple(value for value in runs if value != proof)
    first = runs[points[0]]
    for value, run in runs.items():
        if not _same_events(first, run):
            raise NoPatternError(f"at {value:,} other operations run than at {points[0]:,}")
    each = (runs[value].timeline.allocations for value in points)
    found = SizedRun(first, points, tuple(tuple(one.bytes for one in same) for same in zip(*each, strict=True)))
    if found.at(proof).timeline.allocations != runs[proof].timeline.allocations:
        raise NoPatternError(f"sizes at {proof:,} are not those of the polynomials through {points}")
    return found


def _same_events(one: Run, other: Run) -> bool:
    first, second = one.timeline, other.timeline
    return (
        first.events == second.events
        and first.marks == second.marks
        and one.kinds == other.kinds
        and all(
            (a.operation, a.module, a.stage, a.scratch, a.stream)
            == (b.operation, b.module, b.stage, b.scratch, b.stream)
            for a, b in zip(first.allocations, second.allocations, strict=True)
        )
    )


def _weights(points: Sequence[int], value: int) -> list[Fraction]:
    """How much each point counts at a value (Lagrange's interpolation)."""
    weights = []
    for point in points:
        weight = Fraction(1)
        for other in points:
            if other != point:
                weight *= Fraction(value - other, point - other)
        weights.append(weight)
    return weights


def _size(weights: Sequence[Fraction], form: Sequence[int]) -> int:
    size = sum((weight * one for weight, one in zip(weights, form, strict=True)), Fraction(0))
    if size.denominator != 1 or size < 0:
        raise NoPatternError("a size would be no whole number of bytes")
    return int(size)
