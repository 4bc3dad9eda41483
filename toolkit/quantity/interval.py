"""Closed intervals of exact rationals: what a printed number stands for."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from functools import reduce

from toolkit.frozen import frozen


@frozen
class Interval:
    """The numbers from `low` to `high`, both included; None is no bound on that side."""

    low: Fraction | None
    high: Fraction | None

    @classmethod
    def point(cls, value: Fraction | int) -> Interval:
        """The interval that holds one number."""
        exact = Fraction(value)
        return cls(exact, exact)

    @classmethod
    def between(cls, low: Fraction | int, high: Fraction | int) -> Interval:
        """The numbers from `low` to `high`."""
        return cls(Fraction(low), Fraction(high))

    @classmethod
    def covering(cls, intervals: Iterable[Interval]) -> Interval:
        """The smallest interval that holds all of these, of which there is at least one."""
        return reduce(cls.hull, intervals)

    def __contains__(self, value: Fraction | int) -> bool:
        return (self.low is None or self.low <= value) and (self.high is None or value <= self.high)

    def meets(self, other: Interval) -> bool:
        """Whether the two share a number."""
        return _reaches(self.low, other.high) and _reaches(other.low, self.high)

    def scaled(self, factor: Fraction | int) -> Interval:
        """Every number times a positive factor."""
        return Interval(
            None if self.low is None else self.low * factor,
            None if self.high is None else self.high * factor,
        )

    def hull(self, other: Interval) -> Interval:
        """The smallest interval that holds both."""
        return Interval(
            None if self.low is None or other.low is None else min(self.low, other.low),
            None if self.high is None or other.high is None else max(self.high, other.high),
        )

    def widened(self, share: Fraction) -> Interval:
        """Both ends moved outwards by a share of their own size."""
        if not share:
            return self
        return Interval(
            None if self.low is None else _moved(self.low, -share if self.low.numerator > 0 else share),
            None if self.high is None else _moved(self.high, share if self.high.numerator > 0 else -share),
        )


def _moved(end: Fraction, share: Fraction) -> Fraction:
    """An end and a share of it more: reduced once, which fractions would do at every step."""
    whole = share.denominator
    return Fraction(end.numerator * (whole + share.numerator), end.denominator * whole)


def _reaches(low: Fraction | None, high: Fraction | None) -> bool:
    return low is None or high is None or low <= high
