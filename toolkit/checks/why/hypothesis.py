"""What a hypothesis is given, and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction

from toolkit.checks.case import Case
from toolkit.checks.judgement import Claimed
from toolkit.checks.situations.situation import Situation
from toolkit.checks.situations.space import Choice
from toolkit.frozen import frozen
from toolkit.memory.estimate import Holdings
from toolkit.quantity.interval import Interval


@frozen
class Why:
    """A claim that disagrees, with the estimate at the setting that comes nearest to it and the truth there."""

    case: Case
    situation: Situation
    quantity: str
    claimed: Claimed
    estimate: Holdings
    choice: Choice
    truth: Interval | None = None

    def reproduces(self, value: Fraction) -> bool:
        """Whether the printed number stands for this value, under a reading that the document admits."""
        return any(value in interval for interval in self.claimed.readings.values())


@frozen
class Reproduction:
    """A value that a named mistake gives, in base units, and the sentence that says how, made only where it is told."""

    value: Fraction
    sentence: Callable[[], str]


@frozen
class Hypothesis:
    """A findable cause of wrong numbers, for the quantities it can explain."""

    name: str
    quantities: frozenset[str]
    reproductions: Callable[[Why], Iterator[Reproduction]]
