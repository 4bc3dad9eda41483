"""Memory of the float32 copy of the weights that an optimizer updates beside 16-bit ones."""

from __future__ import annotations

from fractions import Fraction

from toolkit.checks.case import Case
from toolkit.checks.judgement import Outcome
from toolkit.checks.quantities.memory_claim import agrees, judge_memory
from toolkit.checks.quantities.memory_quantity import MemoryQuantity, point
from toolkit.checks.situations.situation import Situation
from toolkit.facts.accuracy import known_error
from toolkit.memory.estimate import Holdings
from toolkit.memory.ledger import Category, PhaseName
from toolkit.quantity.interval import Interval


def judge_master_weights(case: Case) -> Outcome:
    """Judges a claim about the memory of the master weights."""
    return judge_memory(case, QUANTITY)


def master_weights_agree(case: Case) -> bool:
    """Whether the claim holds at every setting: what shows which GB a document means."""
    return agrees(case, QUANTITY)


def _of(held: Holdings) -> Interval:
    step = held.ledger.phase(PhaseName.OPTIMIZER_STEP)
    return point(step.of(Category.MASTER_WEIGHTS) if step else 0)


def _fact(held: Holdings) -> str:
    if held.setting.master_weights is None:
        return f"no copy beside the {held.setting.weights} weights"
    return f"{held.parameters_trainable:,} trained parameters, copied in {held.setting.master_weights}"


def _error(_held: Holdings) -> Fraction:
    """A copy of the weights is known as well as they are."""
    return known_error("computed", "weights")


QUANTITY = MemoryQuantity("master_weights", Situation.holdings, _of, frozenset({"master_weights"}), _error, _fact)
