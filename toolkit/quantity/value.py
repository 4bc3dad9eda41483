"""A value as written: its digits, unit and hedge, and the interval it stands for."""

from __future__ import annotations

from enum import StrEnum
from fractions import Fraction

from toolkit.frozen import frozen
from toolkit.quantity.interval import Interval


class Dimension(StrEnum):
    """What a unit measures. Values of different dimensions are never compared."""

    BYTES = "bytes"
    COUNT = "count"
    SHARE = "share"
    SECONDS = "seconds"
    MONEY = "money"
    RATIO = "ratio"
    NUMBER = "number"


@frozen
class Unit:
    """A unit as written. `readings` maps a reading's name to its size in the base unit of the dimension.

    A unit with one meaning has the single reading "exact"; "GB" has "decimal" (10**9) and "binary" (2**30).
    Base units: byte, one, one (a share of 1 is the whole), second, US dollar, one, one.
    """

    symbol: str
    dimension: Dimension
    readings: tuple[tuple[str, Fraction], ...]


class Bound(StrEnum):
    """The direction of a statement: "8 GB", "at least 8 GB" ("8GB+", ">8 GB"), "up to 8 GB" ("<8 GB")."""

    POINT = "point"
    AT_LEAST = "at_least"
    AT_MOST = "at_most"


@frozen
class Value:
    """A number or range as written, with its place in the text it was read from.

    `written` is in the unit as written, widened by the rounding of its digits and by its hedge; for AT_LEAST
    it has no high end, for AT_MOST no low end. `printed` holds the bare numbers: one, or the two ends of a
    range.
    """

    text: str
    start: int
    end: int
    printed: tuple[Fraction, ...]
    written: Interval
    unit: Unit
    hedge: str | None = None
    bound: Bound = Bound.POINT

    def readings(self) -> dict[str, Interval]:
        """The interval in the base unit, for each reading of the unit."""
        return {name: self.written.scaled(size) for name, size in self.unit.readings}
