"""The result of judging a claim: verdict, evidence, reason and repair."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import date
from enum import StrEnum

from toolkit.evidence.evidence import Evidence
from toolkit.finding import Place
from toolkit.frozen import frozen
from toolkit.quantity.interval import Interval
from toolkit.quantity.value import Dimension


class Verdict(StrEnum):
    """`depends`: true at some settings of the open fields, false at others. `unchecked`: nothing here can check it."""

    AGREES = "agrees"
    DISAGREES = "disagrees"
    DEPENDS = "depends"
    UNCHECKED = "unchecked"


BEST_FIRST = (Verdict.AGREES, Verdict.DEPENDS, Verdict.DISAGREES)
"""The order in which readings of a unit are preferred: of two, the one under which a claim holds more often."""


@frozen
class Claimed:
    """The claimed value: the text as written, and the interval that it stands for under each reading of its unit."""

    text: str
    dimension: Dimension | None = None
    unit: str = ""
    readings: Mapping[str, Interval] = field(default_factory=dict)


@frozen
class Outcome:
    """A checker's answer on one claim.

    `boundary` says where a claim that depends turns from true to false; `repair` is a number to print, or a line of
    YAML that would settle it. `malformed` is set when the text at the quote is nothing the quantity can be read from.
    `turns` are choices for the open fields on either side of the boundary, true first.
    """

    verdict: Verdict
    reason: str
    claimed: Claimed | None = None
    evidence: tuple[Evidence, ...] = ()
    boundary: str | None = None
    repair: str | None = None
    malformed: str | None = None
    turns: tuple[Mapping[str, object], Mapping[str, object]] | None = None


@frozen
class Acknowledgement:
    """A known error that the spec accepts, with its reason and last day."""

    reason: str
    until: date | None = None


@frozen
class Ignored:
    """A comment in the document that asks to ignore a claim: its reason, its last day, and its place."""

    reason: str
    until: date | None
    place: Place


@frozen
class Judgement:
    """One claim and its outcome. `place` is in the document, `spec_place` in the spec."""

    id: str
    place: Place
    spec_place: Place
    quote: str
    scenario: str | None
    quantity: str
    code: str
    outcome: Outcome
    acknowledged: Acknowledgement | None = None
    ignored: Ignored | None = None

    @property
    def verdict(self) -> Verdict:
        """The outcome's verdict."""
        return self.outcome.verdict

    @property
    def gates(self) -> bool:
        """Whether this claim turns the gate red."""
        return self.verdict is Verdict.DISAGREES and self.acknowledged is None and self.ignored is None
