"""The number of parameters that a method trains, exactly, from the architecture and the adapters' targets."""

from __future__ import annotations

from fractions import Fraction

from toolkit.checks.case import Case
from toolkit.checks.judgement import Outcome
from toolkit.checks.quantities.count_claim import CountedQuantity, judge_count
from toolkit.checks.situations.situation import Situation
from toolkit.checks.situations.space import Choice
from toolkit.memory.weights.lora import adapters_of
from toolkit.memory.weights.parameters import trainable_parameters
from toolkit.quantity.value import Dimension


def judge_trainable_parameters(case: Case) -> Outcome:
    """Judges a claim about how many parameters are trained."""
    return judge_count(case, QUANTITY)


def trained(situation: Situation, choice: Choice) -> int:
    """The parameters that get gradients at a setting."""
    return trainable_parameters(situation.architecture(choice), situation.setting(choice))


def _of(situation: Situation, choice: Choice) -> Fraction:
    return Fraction(trained(situation, choice))


def _fact(situation: Situation, choice: Choice) -> str:
    setting = situation.setting(choice)
    match = adapters_of(situation.architecture(choice), setting)
    count = f"{trained(situation, choice):,} parameters are trained"
    if match is None or setting.lora is None:
        return count
    names = ", ".join(name for name, adapted in match.per_target.items() if adapted)
    return f"{count}: rank {setting.lora.rank} on {names} ({match.count} modules)"


QUANTITY = CountedQuantity(
    "trainable_parameters", Dimension.COUNT, _of, frozenset({"parameters"}), _fact, "number of parameters"
)
