"""Memory of the gradients of the trained parameters, when all of them are there."""

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


def judge_gradients(case: Case) -> Outcome:
    """Judges a claim about the memory of the gradients."""
    return judge_memory(case, QUANTITY)


def gradients_agree(case: Case) -> bool:
    """Whether the claim holds at every setting: what shows which GB a document means."""
    return agrees(case, QUANTITY)


def _of(held: Holdings) -> Interval:
    step = held.ledger.phase(PhaseName.OPTIMIZER_STEP)
    return point(step.of(Category.GRADIENTS) if step else 0)


def _fact(held: Holdings) -> str:
    return f"{held.parameters_trainable:,} trained parameters, gradients in {held.setting.gradients}"


def _error(_held: Holdings) -> Fraction:
    return known_error("computed", "gradients")


QUANTITY = MemoryQuantity("gradients", Situation.holdings, _of, frozenset({"gradients"}), _error, _fact)
