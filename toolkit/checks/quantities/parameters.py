"""The number of parameters of a model, exactly, from its architecture."""

from __future__ import annotations

from fractions import Fraction

from toolkit.checks.case import Case
from toolkit.checks.judgement import Outcome
from toolkit.checks.quantities.count_claim import CountedQuantity, judge_count
from toolkit.checks.situations.situation import Situation
from toolkit.checks.situations.space import Choice
from toolkit.quantity.value import Dimension


def judge_parameters(case: Case) -> Outcome:
    """Judges a claim about how many parameters the model has, tied ones counted once, adapters left out."""
    return judge_count(case, QUANTITY)


def _of(situation: Situation, choice: Choice) -> Fraction:
    return Fraction(situation.architecture(choice).parameters)


def _fact(situation: Situation, choice: Choice) -> str:
    return f"{situation.facts.id} has {situation.architecture(choice).parameters:,} parameters"


QUANTITY = CountedQuantity(
    "parameters", Dimension.COUNT, _of, frozenset({"architecture"}), _fact, "number of parameters"
)
