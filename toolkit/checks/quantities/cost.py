"""Money that something takes: what follows from printed prices and times; prices themselves are not on record."""

from __future__ import annotations

from toolkit.checks.case import Case
from toolkit.checks.judgement import Outcome
from toolkit.checks.quantities.follows import judge_stated
from toolkit.quantity.value import Dimension

REASON = "no price of that day is on record, and the claim names no figures that it follows from"


def judge_cost(case: Case) -> Outcome:
    """Judges a cost by the price and the time that the claim's formula names; a price stays unchecked."""
    return judge_stated(case, Dimension.MONEY, "amount of money", REASON)
