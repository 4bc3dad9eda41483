"""A change between two figures of the document, or between two scenarios: "71 % less", "2x", "+200 MB"."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction

from toolkit.checks.case import Case, comparable, malformed
from toolkit.checks.judgement import Claimed, Outcome, Verdict
from toolkit.checks.quantities.direction import Direction, direction_of, stated
from toolkit.checks.quantities.scenario_change import judge_scenario_change
from toolkit.checks.situations.space import Side
from toolkit.checks.situations.spread import side_of
from toolkit.documents.bind import BoundValue
from toolkit.evidence.evidence import Evidence, EvidenceKind
from toolkit.quantity import UNITS, Reading, display_interval
from toolkit.quantity.interval import Interval
from toolkit.quantity.value import Dimension, Value

_SPEED = re.compile(r"\b(?:faster|slower|speed-?ups?)\b", re.IGNORECASE)
_POINTS = frozenset({"pp", "percentage point", "percentage points"})


def judge_change(case: Case) -> Outcome:
    """Judges a percentage or a ratio against the two printed figures that it is said to follow from.

    With `of`, the ends are scenarios, and what they take is worked out. With `subject: {says: less}`, or `more`, the
    direction alone is claimed.
    """
    if case.claim.of is not None:
        return judge_scenario_change(case)
    claim = case.value(Dimension.SHARE) or case.value(Dimension.RATIO)
    if claim is None and (direction := stated(case)) is not None:
        return _ordered(case, direction)
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
    if claim.unit.dimension is Dimension.SHARE and first.unit.dimension is Dimension.SECONDS:
        # "From 30 to 10 hours, 67 % faster" is said of the time, "200 % faster" of the speed.
        truths += [truth for reading in case.readings if (truth := _speed(case, first, second, reading))]
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


def _ordered(case: Case, direction: Direction) -> Outcome:
    """Whether the second printed figure is less, or more, than the first."""
    claimed = Claimed(case.text)
    first, second = _value(case.bound.start), _value(case.bound.end)
    if first is None or second is None or not comparable(first.unit.dimension, second.unit.dimension):
        return Outcome(Verdict.UNCHECKED, "the figures that it compares are not two of one kind", claimed)
    before, after = _ends(first, case.reading), _ends(second, case.reading)
    if before is None or after is None:
        return Outcome(Verdict.UNCHECKED, "a figure that it compares is open or zero", claimed)
    holds = after[0] < before[1] if direction is Direction.LESS else after[1] > before[0]
    fact = f"from {first.text} to {second.text}"
    evidence = Evidence(EvidenceKind.EXACT, Interval(*after), facts=(fact,))
    if holds:
        return Outcome(Verdict.AGREES, fact, claimed, (evidence,))
    return Outcome(Verdict.DISAGREES, f"{fact} is not {direction}", claimed, (evidence,), repair="say the opposite")


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
        falls = max(claim.printed) >= 0 and _falls(case, ratios)
        return Interval(-max(points), -min(points)) if falls else Interval(min(points), max(points))
    if claim.unit.dimension is Dimension.RATIO:
        factors = [max(ratio, 1 / ratio) for ratio in ratios]
        return Interval(Fraction(1) if min(ratios) < 1 < max(ratios) else min(factors), max(factors))
    signed = max(claim.printed) < 0
    falls = not signed and _falls(case, ratios)
    shares = [1 - ratio if falls else ratio - 1 for ratio in ratios]
    return Interval(min(shares), max(shares))


def _speed(case: Case, first: Value, second: Value, reading: Reading) -> Interval | None:
    """The share by which a speed rises or falls that is the inverse of two times; None where none is spoken of."""
    before, after = _ends(first, reading), _ends(second, reading)
    if before is None or after is None or _SPEED.search(case.bound.quote_text) is None:
        return None
    rises = [old / new - 1 for old in before for new in after]
    if direction_of(case) is Direction.MORE:
        return Interval(-max(rises), -min(rises))
    return Interval(min(rises), max(rises))


def _falls(case: Case, ratios: list[Fraction]) -> bool:
    """Whether a share is meant as one of less: by its words, or where they do not say it, by the figures."""
    said = direction_of(case)
    return max(ratios) < 1 if said is None else said is Direction.LESS


def _ends(value: Value, reading: Reading) -> tuple[Fraction, Fraction] | None:
    readings = value.readings()
    interval = readings.get(reading) or next(iter(readings.values()))
    low, high = interval.low, interval.high
    if len(value.printed) > 1 and value.hedge is None and low is not None and high is not None:
        # A range leaves open what lies between its ends: far more than the rounding of their digits does.
        size = high / value.written.high if value.written.high else Fraction(1)
        low, high = min(value.printed) * size, max(value.printed) * size
    return None if low is None or high is None or low <= 0 else (low, high)
