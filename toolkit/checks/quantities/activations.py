"""Memory that grows with the batch: what the forward pass keeps, what is computed again, logits and loss."""

from __future__ import annotations

from fractions import Fraction

from toolkit.checks.case import Case
from toolkit.checks.judgement import Outcome
from toolkit.checks.quantities.engine import refuse_shared_out
from toolkit.checks.quantities.memory_claim import judge_memory
from toolkit.checks.quantities.memory_quantity import MemoryQuantity, point
from toolkit.checks.situations.situation import Situation
from toolkit.facts.accuracy import known_error
from toolkit.memory.estimate import Estimate
from toolkit.memory.ledger import Category
from toolkit.quantity.interval import Interval


def judge_activations(case: Case) -> Outcome:
    """Judges a claim about the memory of the activations."""
    return judge_memory(case, QUANTITY)


def _of(estimate: Estimate) -> Interval:
    refuse_shared_out(estimate, "activations")
    grown = (phase.of(Category.ACTIVATIONS, Category.LOGITS) for phase in estimate.phases)
    return point(max(grown))


def _fact(estimate: Estimate) -> str:
    setting = estimate.setting
    checkpoints = "no checkpointing" if setting.gradient_checkpointing == "false" else "checkpointing"
    return f"batch {setting.batch_size} of {setting.sequence_length} tokens, {checkpoints}, logits and loss included"


def _error(_estimate: Estimate) -> Fraction:
    return known_error("computed", "activations")


QUANTITY = MemoryQuantity("activations", Situation.estimate, _of, frozenset({"activations", "logits"}), _error, _fact)
