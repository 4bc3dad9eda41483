"""A quantity of bytes that claims state: what it is read off, how, and how well it is known."""

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
"""The quantity that a trace knows."""

Known = TypeVar("Known", bound=Holdings)


@frozen
class MemoryQuantity(Generic[Known]):
    """A quantity of bytes: what it is read off, and how; which categories move it, and how well it is known.

    `look` is what a situation holds at a choice, or its whole estimate; `fact` says in words how the value comes about,
    `floor` what the value never falls below, whatever the error.
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
        """What the true value lies in at a choice, by the known error; worked out once."""
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
    """A number of bytes that is known as one number."""
    return Interval.point(value)
