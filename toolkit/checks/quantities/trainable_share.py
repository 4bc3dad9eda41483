"""The share of a model's parameters that a method trains."""

from __future__ import annotations

from fractions import Fraction

from toolkit.checks.case import Case
from toolkit.checks.judgement import Outcome
from toolkit.checks.quantities.count_claim import CountedQuantity, judge_count
from toolkit.checks.quantities.trainable_parameters import trained
from toolkit.checks.situations.situation import Situation
from toolkit.checks.situations.space import Choice
from toolkit.quantity import display_share
from toolkit.quantity.value import Dimension


def judge_trainable_share(case: Case) -> Outcome:
    """Judges a share of trained parameters: of the model's own, as papers print it."""
    return judge_count(case, QUANTITY)


def _of(situation: Situation, choice: Choice) -> Fraction:
    return Fraction(trained(situation, choice), situation.architecture(choice).parameters)


def _fact(situation: Situation, choice: Choice) -> str:
    share, total = _of(situation, choice), situation.architecture(choice).parameters
    return f"{trained(situation, choice):,} of {total:,} parameters are trained, {display_share(share)}"


QUANTITY = CountedQuantity(
    "trainable_share", Dimension.SHARE, _of, frozenset({"parameters"}), _fact, "share of the parameters"
)
