"""A change between two figures of the document: "71 % less", "2x", as both ends give it."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction

from toolkit.checks.case import Case, comparable, malformed
from toolkit.checks.judgement import Outcome, Verdict
from toolkit.checks.space import Side
from toolkit.checks.spread import side_of
from toolkit.documents.bind import BoundValue
from toolkit.evidence.evidence import Evidence, EvidenceKind
from toolkit.quantity import UNITS, Reading, display_interval
from toolkit.quantity.interval import Interval
from toolkit.quantity.value import Dimension, Value

_LESS = re.compile(
    r"\b(?:less|smaller|lower|fewer|reduc\w+|saves?|saving|savings|cheaper|faster|shorter|cuts?|drops?)\b|↓",
    re.IGNORECASE,
)
_MORE = re.compile(r"\b(?:more|larger|bigger|higher|greater|longer|slower|increas\w+|gr[eo]w\w*)\b|↑", re.IGNORECASE)

_POINTS = frozenset({"pp", "percentage point", "percentage points"})


def judge_change(case: Case) -> Outcome:
    """Judges a percentage or a ratio against the two printed figures that it is said to follow from."""
    claim = case.value(Dimension.SHARE) or case.value(Dimension.RATIO)
    if claim is None:
        return malformed("percentage or ratio", case)
    ends = [_value(case.bound.start), _value(case.bound.end)]
    claimed = case.claimed(claim)
    first, second = ends
    if first is None or second is None:
        return Outcome(Verdict.UNCHECKED, "the figures that it changes from and to are not both numbers", claimed)
    if not comparable(first.unit.dimension, second.unit.dimension):
        return Outcome(Verdict.UNCHECKED, "the figures that it changes from and to have different dimensions", claimed)
    truths = [truth for reading in case.readings if (truth := _change(case, claim, first, second, reading))]
    if first.unit.dimension is Dimension.SHARE and claim.unit.dimension is Dimension.SHARE:
        # "from 69 % to 75 %, 6 % more" may be said of points.
        points = replace(claim, unit=UNITS["pp"])
        truths += [truth for truth in [_change(case, points, first, second, case.reading)] if truth]
    if not truths:
        return Outcome(Verdict.UNCHECKED, "a figure that it changes from or to is open or zero", claimed)
    holding = [truth for truth in truths if side_of(claimed.readings.values(), truth) is Side.HOLDS]
    truth = (holding or truths)[0]
    shown = display_interval(truth, claim.unit.dimension)
    fact = f"from {first.text} to {second.text} is {shown}"
    evidence = Evidence(EvidenceKind.EXACT, truth, facts=(fact,))
    if holding:
        return Outcome(Verdict.AGREES, fact, claimed, (evidence,))
    return Outcome(Verdict.DISAGREES, fact, claimed, (evidence,), repair=f"print {shown}")


def _value(end: object) -> Value | None:
    return end.value if isinstance(end, BoundValue) else None


def _change(case: Case, claim: Value, first: Value, second: Value, reading: Reading) -> Interval | None:
    """The share by which it falls or rises, or the ratio of larger to smaller, over the rounding of both.

    A share with a sign of its own ("-71 %") falls below zero; one without is a fall if the words or the
    figures say so.
    """
    before, after = _ends(first, reading), _ends(second, reading)
    if before is None or after is None:
        return None
    ratios = [new / old for old in before for new in after]
    if claim.unit.symbol in _POINTS:
        points = [new - old for old in before for new in after]
        falls = max(claim.printed) >= 0 and _falls(case.bound.quote_text, ratios)
        return Interval(-max(points), -min(points)) if falls else Interval(min(points), max(points))
    if claim.unit.dimension is Dimension.RATIO:
        factors = [max(ratio, 1 / ratio) for ratio in ratios]
        return Interval(Fraction(1) if min(ratios) < 1 < max(ratios) else min(factors), max(factors))
    signed = max(claim.printed) < 0
    falls = not signed and _falls(case.bound.quote_text, ratios)
    shares = [1 - ratio if falls else ratio - 1 for ratio in ratios]
    return Interval(min(shares), max(shares))


def _falls(quote: str, ratios: list[Fraction]) -> bool:
    """Whether a share is meant as one of less: by its words, or where they do not say it, by the figures."""
    less, more = _LESS.search(quote) is not None, _MORE.search(quote) is not None
    return less if less is not more else max(ratios) < 1


def _ends(value: Value, reading: Reading) -> tuple[Fraction, Fraction] | None:
    readings = value.readings()
    interval = readings.get(reading) or next(iter(readings.values()))
    low, high = interval.low, interval.high
    return None if low is None or high is None or low <= 0 else (low, high)
