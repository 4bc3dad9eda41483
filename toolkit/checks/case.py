"""What a checker is given: the claim, the text at its quote, and the facts it may ask for."""

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

    `readings` are the meanings of "GB" that the document admits, `named` the values of the spec bound in it,
    `parsed` those of them that are values as written,
    `situation` the claim's scenario made answerable (None for a claim without one, or
    of a model that is not known), `scenario` the scenario as stated, `gpu` the card that it names. `start` and `end`
    are the situations between which something changes.
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
        """The text in the claimed slot; of a quote without one, all of it."""
        return self.bound.quote_text if self.bound.slot_text is None else self.bound.slot_text

    @property
    def reading(self) -> Reading:
        """The units in which amounts are shown: those of the claim, else the document's GB, else decimal."""
        binary = self.readings == ("binary",) or _BINARY_UNIT.search(self.text)
        return "binary" if binary else "decimal"

    def value(self, dimension: Dimension) -> Value | None:
        """The claimed value, if the text at the quote is one of that dimension; its column may give a cell its unit."""
        heading = unit_of_heading(self.bound.column or "")
        implied = heading if heading is not None and heading.dimension is dimension else None
        value = parse_value(self.text, dimension, implied=implied)
        if value is None or not comparable(value.unit.dimension, dimension):
            return None
        # "0.04" may be a share; "80 %" is no number of steps.
        return None if value.unit.dimension is Dimension.SHARE is not dimension else value

    def claimed(self, value: Value) -> Claimed:
        """The claimed value in base units, under the readings that the document admits."""
        every: dict[str, Interval] = value.readings()
        admitted: dict[str, Interval] = {name: interval for name, interval in every.items() if name in self.readings}
        return Claimed(value.text, value.unit.dimension, value.unit.symbol, admitted or every)

    def values(self) -> dict[str, Value]:
        """The values that a formula may name: those of the claim over those of the spec."""
        own = {name: value for name, one in self.bound.where.items() if (value := one.value) is not None}
        return {**self.parsed, **own}

    def referred(self, text: str) -> str:
        """A text of the claim's subject: "{name}" is the document's value of that name."""
        if text.startswith("{") and text.endswith("}") and text[1:-1] in self.named:
            return self.named[text[1:-1]].text
        return text


PURE = frozenset({Dimension.NUMBER, Dimension.COUNT, Dimension.RATIO})


def comparable(first: Dimension, second: Dimension) -> bool:
    """Whether values of two dimensions may be compared: the same one, or plain numbers."""
    dimensions = {first, second}
    return first is second or dimensions <= PURE or dimensions == {Dimension.NUMBER, Dimension.SHARE}


def malformed(expected: str, case: Case) -> Outcome:
    """The outcome of a claim whose slot holds something else than the quantity needs."""
    text = case.text if len(case.text) <= LONGEST_SHOWN else f"{case.text[: LONGEST_SHOWN - 3]}..."
    return Outcome(
        Verdict.UNCHECKED,
        reason=f"the text at the quote is no {expected}",
        malformed=f"expected {expected} at the slot, found {text!r}",
    )
