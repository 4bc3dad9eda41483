"""A change between two figures of the document: "71 % less", "2x": do both ends give it?"""

from __future__ import annotations

import re
from fractions import Fraction

from toolkit.checks.case import Case, comparable, malformed
from toolkit.checks.judgement import Outcome, Verdict
from toolkit.checks.spread import Side, side_of
from toolkit.documents.bind import BoundValue
from toolkit.evidence.evidence import Evidence, EvidenceKind
from toolkit.quantity import display_interval
from toolkit.quantity.interval import Interval
from toolkit.quantity.value import Dimension, Value

_LESS = re.compile(r"\b(?:less|smaller|lower|fewer|reduc\w*|sav\w*|cheaper|faster|shorter|cut|drop\w*)\b|[-−↓]", re.IGNORECASE)


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
    truth = _change(case, first, second, claim.unit.dimension)
    if truth is None:
        return Outcome(Verdict.UNCHECKED, "a figure that it changes from or to is open or zero", claimed)
    shown = display_interval(truth, claim.unit.dimension)
    fact = f"from {first.text} to {second.text} is {shown}"
    evidence = Evidence(EvidenceKind.EXACT, truth, facts=(fact,))
    if side_of(claimed.readings.values(), truth) is Side.HOLDS:
        return Outcome(Verdict.AGREES, fact, claimed, (evidence,))
    return Outcome(Verdict.DISAGREES, fact, claimed, (evidence,), repair=f"print {shown}")


def _value(end: object) -> Value | None:
    return end.value if isinstance(end, BoundValue) else None


def _change(case: Case, first: Value, second: Value, dimension: Dimension) -> Interval | None:
    """The share by which it falls or rises, or the ratio of the larger to the smaller, over the rounding of both."""
    before, after = _ends(first, case), _ends(second, case)
    if before is None or after is None:
        return None
    ratios = [new / old for old in before for new in after]
    if dimension is Dimension.RATIO:
        factors = [max(ratio, 1 / ratio) for ratio in ratios]
        return Interval(min(factors), max(factors))
    falls = _LESS.search(case.bound.quote_text) is not None or max(ratios) < 1
    shares = [1 - ratio if falls else ratio - 1 for ratio in ratios]
    return Interval(min(shares), max(shares))


def _ends(value: Value, case: Case) -> tuple[Fraction, Fraction] | None:
    readings = value.readings()
    interval = readings.get(case.reading) or next(iter(readings.values()))
    low, high = interval.low, interval.high
    return None if low is None or high is None or low <= 0 else (low, high)
