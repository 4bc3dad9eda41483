"""The input of a checker: a claim, the text at its quote, and the facts that the checker may ask for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING

from toolkit.checks.judgement import Claimed, Outcome, Verdict
from toolkit.documents.bind import BoundClaim, BoundValue
from toolkit.documents.scan.values import unit_of_heading
from toolkit.frozen import frozen
from toolkit.quantity import Reading, parse_value
from toolkit.quantity.interval import Interval
from toolkit.quantity.value import Dimension, Value
from toolkit.spec.claim import Claim
from toolkit.spec.scenario import Scenario

if TYPE_CHECKING:
    from toolkit.checks.situations.situation import Situation

READINGS: tuple[Reading, ...] = ("decimal", "binary")
LONGEST_SHOWN = 60
_BINARY_UNIT = re.compile(r"[0-9][ \u00a0]?[KMGTP]i(?:[Bb]|\b)")


@frozen
class Case:
    """One claim to be judged.

    `readings` are the meanings of "GB" that the document admits. `named` are the named values of the spec as found in
    the document, `parsed` those that are values with a number. `scenario` is the scenario as stated, `situation` the
    same ready for estimates (None for a claim without one, or with an unknown model), `gpu` the card that it names.
    `start` and `end` are the situations between which something changes.
    """

    bound: BoundClaim
    readings: tuple[Reading, ...] = READINGS
    named: Mapping[str, BoundValue] = field(default_factory=dict)
    parsed: Mapping[str, Value] = field(default_factory=dict)
    situation: Situation | None = None
    scenario: Scenario | None = None
    gpu: str | None = None
    start: Situation | None = None
    end: Situation | None = None

    @property
    def claim(self) -> Claim:
        """The claim as the spec has it."""
        return self.bound.claim

    @property
    def text(self) -> str:
        """The text in the claimed slot, or the whole quote where it has none."""
        return self.bound.quote_text if self.bound.slot_text is None else self.bound.slot_text

    @property
    def reading(self) -> Reading:
        """The units in which amounts are shown: those of the claim, else the document's GB, else decimal."""
        binary = self.readings == ("binary",) or _BINARY_UNIT.search(self.text)
        return "binary" if binary else "decimal"

    def value(self, dimension: Dimension) -> Value | None:
        """The claimed value, if the text is one of that dimension. A cell may have its unit in the column's heading."""
        heading = unit_of_heading(self.bound.column or "")
        implied = heading if heading is not None and heading.dimension is dimension else None
        value = parse_value(self.text, dimension, implied=implied)
        if value is None or not comparable(value.unit.dimension, dimension):
            return None
        # "0.04" may be a share, but "80 %" is no number of steps.
        return None if value.unit.dimension is Dimension.SHARE is not dimension else value

    def claimed(self, value: Value) -> Claimed:
        """The claimed value in base units, under the readings that the document admits."""
        every: dict[str, Interval] = value.readings()
        admitted: dict[str, Interval] = {name: interval for name, interval in every.items() if name in self.readings}
        return Claimed(value.text, value.unit.dimension, value.unit.symbol, admitted or every)

    def values(self) -> dict[str, Value]:
        """The values that a formula may name; those of the claim take precedence over those of the spec."""
        own = {name: value for name, one in self.bound.where.items() if (value := one.value) is not None}
        return {**self.parsed, **own}

    def referred(self, text: str) -> str:
        """A text of the claim's subject, with "{name}" replaced by the value of that name in the document."""
        if text.startswith("{") and text.endswith("}") and text[1:-1] in self.named:
            return self.named[text[1:-1]].text
        return text


PURE = frozenset({Dimension.NUMBER, Dimension.COUNT, Dimension.RATIO})


def comparable(first: Dimension, second: Dimension) -> bool:
    """Whether values of two dimensions may be compared: they are the same, or both plain numbers."""
    dimensions = {first, second}
    return first is second or dimensions <= PURE or dimensions == {Dimension.NUMBER, Dimension.SHARE}


def malformed(expected: str, case: Case) -> Outcome:
    """The outcome for a claim whose slot does not hold what its quantity needs."""
    text = case.text if len(case.text) <= LONGEST_SHOWN else f"{case.text[: LONGEST_SHOWN - 3]}..."
    return Outcome(
        Verdict.UNCHECKED,
        reason=f"the text at the quote is no {expected}",
        malformed=f"expected {expected} at the slot, found {text!r}",
    )
