"""The input and the output of a hypothesis."""

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
    """The value that a mistake gives, in base units, and a function that makes the sentence about it."""

    value: Fraction
    sentence: Callable[[], str]


@frozen
class Hypothesis:
    """A possible cause of wrong numbers, with the quantities that it can explain."""

    name: str
    quantities: frozenset[str]
    reproductions: Callable[[Why], Iterator[Reproduction]]
