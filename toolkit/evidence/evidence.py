"""What is known about a quantity at one setting of the open fields."""

from __future__ import annotations

from dataclasses import field
from enum import StrEnum
from fractions import Fraction

from toolkit.frozen import frozen
from toolkit.quantity.interval import Interval


class EvidenceKind(StrEnum):
    """How something is known, weakest first among the three depths; `exact` is arithmetic, counts and fact tables."""

    COMPUTED = "computed"
    TRACED = "traced"
    PUBLISHED = "published"
    MEASURED = "measured"
    EXACT = "exact"


@frozen
class Evidence:
    """A known value of a quantity, in the base unit of its dimension.

    `value` is a point, or an interval where no more is known. `error` is the known relative error of this kind and
    class of evidence, by which `interval` is widened. `facts` are sentences that a reason may quote ("7,615,616,512
    parameters x 4 bytes").
    """

    kind: EvidenceKind
    value: Interval
    error: Fraction = Fraction(0)
    stack: str | None = None
    facts: tuple[str, ...] = field(default=())

    @property
    def interval(self) -> Interval:
        """What the true value lies in, by the stated error."""
        return self.value.widened(self.error)
