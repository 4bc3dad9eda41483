"""What a checker is given: the claim, the text at its quote, and the facts it may ask for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from toolkit.quantity import parse_value
from toolkit.quantity.interval import Interval
from toolkit.quantity.value import Dimension, Value

from toolkit.checks.judgement import Claimed, Outcome, Verdict

if TYPE_CHECKING:
    from toolkit.checks.space import SettingSpace
    from toolkit.spec.claim import Claim

READINGS = ("decimal", "binary")


@dataclass(frozen=True, slots=True)
class Case:
    """One claim to be judged.

    `readings` are the meanings of "GB" that the document admits, `values` the named values bound in the document,
    `space` the settings that the claim's scenario may take (None for a claim without a scenario).
    """

    claim: Claim
    text: str
    readings: tuple[str, ...] = READINGS
    values: Mapping[str, Value] = field(default_factory=dict)
    space: SettingSpace | None = None

    def value(self, dimension: Dimension) -> Value | None:
        """The claimed value, if the text at the quote is one of that dimension."""
        return parse_value(self.text, dimension)

    def claimed(self, value: Value) -> Claimed:
        """The claimed value in base units, under the readings that the document admits."""
        every = value.readings()
        admitted = {name: interval for name, interval in every.items() if name in self.readings} or every
        return Claimed(value.text, value.unit.dimension, value.unit.symbol, admitted)


def meets_any(claimed: Claimed, truth: Interval) -> bool:
    """Whether the truth meets the claimed interval under any admitted reading."""
    return any(interval.meets(truth) for interval in claimed.readings.values())


def malformed(expected: str, case: Case) -> Outcome:
    """The outcome of a claim whose slot holds something else than the quantity needs."""
    shown = case.text if len(case.text) <= 60 else case.text[:57] + "..."  # noqa: PLR2004 - fits a terminal line
    return Outcome(
        Verdict.UNCHECKED,
        reason=f"the text at the quote is no {expected}",
        malformed=f"expected {expected} at the slot, found {shown!r}",
    )
