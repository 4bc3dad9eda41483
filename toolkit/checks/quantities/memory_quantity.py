"""Quantities of bytes that claims state: how each is read from an estimate, and how well it is known."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Generic, TypeVar

from toolkit.checks.situations.situation import Situation
from toolkit.checks.situations.space import Choice
from toolkit.checks.traced import traced, traced_error
from toolkit.frozen import frozen
from toolkit.memory.estimate import Holdings
from toolkit.quantity.interval import Interval

PEAK = "peak_memory"
"""The only quantity for which traces and measurements are evidence."""

Known = TypeVar("Known", bound=Holdings)


@frozen
class MemoryQuantity(Generic[Known]):
    """A quantity of bytes: how it is read from an estimate, which categories move it, and how well it is known.

    `look` gets the holdings or the whole estimate of a situation at a choice, and `of` reads the quantity from it.
    `fact` explains the value in words. The value is never below `floor`, whatever its `error`.
    """

    name: str
    look: Callable[[Situation, Choice], Known]
    of: Callable[[Known], Interval]
    moved_by: frozenset[str]
    error: Callable[[Known], Fraction]
    fact: Callable[[Known], str]
    view: str = ""
    floor: Callable[[Known], Fraction] | None = None

    def truth(self, situation: Situation, choice: Choice) -> Interval:
        """The interval of the true value at a choice, by the known error; computed once."""
        key = (self.name, self.view, *situation.space.key(choice))
        found = situation.truths.get(key)
        if found is None:
            seen = traced(situation, choice, self.view) if self.name == PEAK else None
            found = self._computed(situation, choice) if seen is None else seen.widened(traced_error(situation))
            situation.truths[key] = found
        return found

    def _computed(self, situation: Situation, choice: Choice) -> Interval:
        known = self.look(situation, choice)
        found = self.of(known).widened(self.error(known))
        floor = self.floor(known) if self.floor else None
        if floor is not None and found.low is not None and found.low < floor:
            found = Interval(floor, found.high)
        return found


def point(value: int) -> Interval:
    """An exact number of bytes."""
    return Interval.point(value)
