"""Memory of the adapter weights alone; their gradients and states have rows of their own."""

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


def judge_adapters(case: Case) -> Outcome:
    """Judges a claim about the memory of the adapters."""
    return judge_memory(case, QUANTITY)


def adapters_agree(case: Case) -> bool:
    """Whether the claim holds at every setting: what shows which GB a document means."""
    return agrees(case, QUANTITY)


def _of(held: Holdings) -> Interval:
    phase = held.ledger.phase(PhaseName.OPTIMIZER_STEP) or held.ledger.phases[0]
    return point(phase.of(Category.ADAPTERS))


def _fact(held: Holdings) -> str:
    lora = held.setting.lora
    rank = f"rank {lora.rank}" if lora else held.setting.method if held.setting.peft else "no adapter"
    if lora and not held.setting.trains:
        return f"{rank}, not merged"
    return f"{held.parameters_trainable:,} adapter parameters, {rank}"


def _error(_held: Holdings) -> Fraction:
    return known_error("computed", "adapters")


QUANTITY = MemoryQuantity("adapters", Situation.holdings, _of, frozenset({"adapters"}), _error, _fact)
