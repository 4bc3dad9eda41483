"""Memory of the keys and values of all tokens at the end of decoding."""

from __future__ import annotations

from fractions import Fraction

from toolkit.checks.case import Case
from toolkit.checks.judgement import Outcome
from toolkit.checks.quantities.engine import refuse_shared_out
from toolkit.checks.quantities.memory_claim import agrees, judge_memory
from toolkit.checks.quantities.memory_quantity import MemoryQuantity, point
from toolkit.checks.situations.situation import Situation
from toolkit.facts.accuracy import known_error
from toolkit.memory.estimate import Estimate
from toolkit.memory.ledger import Category
from toolkit.quantity.interval import Interval


def judge_kv_cache(case: Case) -> Outcome:
    """Judges a claim about the memory of the KV cache."""
    return judge_memory(case, QUANTITY)


def kv_cache_agree(case: Case) -> bool:
    """Whether the claim holds at every setting: what shows which GB a document means."""
    return agrees(case, QUANTITY)


def _of(estimate: Estimate) -> Interval:
    refuse_shared_out(estimate, "kv_cache")
    return point(max(phase.of(Category.KV_CACHE) for phase in estimate.phases))


def _fact(estimate: Estimate) -> str:
    setting = estimate.setting
    tokens = setting.sequence_length + setting.generated_length
    return f"{setting.batch_size} sequences of {tokens} tokens"


def _error(_estimate: Estimate) -> Fraction:
    return known_error("computed", "kv_cache")


QUANTITY = MemoryQuantity("kv_cache", Situation.estimate, _of, frozenset({"kv_cache"}), _error, _fact)
