"""Memory of the model's weights, as they are held when loaded."""

from __future__ import annotations

from fractions import Fraction

from toolkit.checks.case import Case
from toolkit.checks.judgement import Outcome
from toolkit.checks.quantities.memory_claim import agrees, judge_memory
from toolkit.checks.quantities.memory_quantity import MemoryQuantity, point
from toolkit.checks.situations.situation import Situation
from toolkit.facts.accuracy import known_error
from toolkit.memory.estimate import Holdings
from toolkit.memory.ledger import Category
from toolkit.quantity.interval import Interval


def judge_weights(case: Case) -> Outcome:
    """Judges a claim about the memory of the weights."""
    return judge_memory(case, QUANTITY)


def weights_agree(case: Case) -> bool:
    """Whether the claim holds at every setting: what shows which GB a document means."""
    return agrees(case, QUANTITY)


def _of(held: Holdings) -> Interval:
    return point(held.phases[0].of(Category.WEIGHTS))


def _fact(held: Holdings) -> str:
    base = held.parameters_total - (0 if held.setting.method == "full" else held.parameters_trainable)
    return f"{base:,} parameters held as {held.setting.weights}"


def _error(_held: Holdings) -> Fraction:
    return known_error("computed", "weights")


QUANTITY = MemoryQuantity("weights", Situation.holdings, _of, frozenset({"weights"}), _error, _fact)
