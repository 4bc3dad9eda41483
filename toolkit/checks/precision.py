"""A result is no more precise than the terms it was worked out from: "21M × 8 bytes = 0.168 GB" has two digits."""

from __future__ import annotations

from dataclasses import replace

from toolkit.checks.case import Case
from toolkit.checks.equation import EquationError, evaluate, parse_equation
from toolkit.checks.judgement import Claimed
from toolkit.quantity.interval import Interval


def as_precise_as_its_terms(case: Case, claimed: Claimed) -> Claimed:
    """The claimed value, widened to what its terms round to where the quote is the equation that gives it.

    Only a result that its own terms give is widened, so that a slip in the arithmetic is still held against it.
    """
    if "=" not in case.bound.quote_text and "≈" not in case.bound.quote_text:
        return claimed
    try:
        left = parse_equation(case.bound.quote_text)[0]
        widened = {
            reading: _hull(interval, evaluate(left, reading, rounded=True).interval)
            for reading, interval in claimed.readings.items()
        }
    except EquationError:
        return claimed
    return replace(claimed, readings=widened)


def _hull(claimed: Interval, terms: Interval) -> Interval:
    return claimed.hull(terms) if claimed.meets(terms) else claimed
