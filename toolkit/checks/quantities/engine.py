"""Claims about engines that reserve a share of the card, as vLLM: whether they start, and what they allot."""

from __future__ import annotations

from fractions import Fraction

from toolkit.checks.judgement import Outcome, Verdict
from toolkit.checks.quantities.peak_memory import load_error
from toolkit.checks.situations.situation import Situation, all_moved
from toolkit.evidence.evidence import Evidence, EvidenceKind
from toolkit.facts.gpu import Card
from toolkit.facts.gpus import find_gpu
from toolkit.facts.names import UnknownName
from toolkit.memory.estimate import Estimate
from toolkit.memory.formula.engine.engine import least_to_start, most_to_start, share_of
from toolkit.memory.ledger import Category
from toolkit.memory.refusal import UnsupportedRow
from toolkit.quantity import Mark, display_bytes
from toolkit.quantity.interval import Interval

ONE_SEQUENCE = "kv_cache_of_one_sequence"
NOT_FOLLOWED = "what its profile run takes beside them is not modelled"


def refuse_shared_out(estimate: Estimate, row: str) -> None:
    """Raises for a row that vLLM fills from its pool: only the size of the pool is known, not its parts."""
    if any(phase.of(Category.ENGINE_POOL) for phase in estimate.phases):
        raise UnsupportedRow(row, "no formula for the profile run by which vLLM divides its pool yet")


def cannot_start(estimate: Estimate, card: Card) -> bool:
    """Whether vLLM's share of a card is too small for it to start, at every setting."""
    _, high = share_of(estimate.setting, card)
    return _least(estimate) * (1 - load_error(estimate)) > high


def surely_starts(estimate: Estimate, card: Card) -> bool:
    """Whether vLLM's share of the card that it runs on is enough, whatever its profile run takes.

    The CUDA context has room beside the share. Where no formula says what a profile run takes nothing is sure, and
    nor is it on another card: how much vLLM runs at once follows the card.
    """
    setting = estimate.setting
    own = find_gpu(setting.gpu) if setting.gpu else None
    if estimate.context is None or isinstance(own, UnknownName | None) or own.name != card.name:
        return False
    ledger = estimate.ledger
    sized = "max_model_len" in setting.engine or any(row.name == ONE_SEQUENCE for row in ledger.phases[-1].rows)
    needs = most_to_start(estimate.context, ledger) * (1 + load_error(estimate))
    low, high = share_of(setting, card)
    return sized and 0 < needs <= low and high + card.context_high <= card.usable_high


def _least(estimate: Estimate) -> int:
    """The bytes of the weights and one sequence of full length; without a known length, of the weights alone."""
    if "max_model_len" in estimate.setting.engine:
        return least_to_start(estimate.ledger)
    return estimate.phases[0].of(Category.WEIGHTS)


def judge_start(situation: Situation, mark: Mark, card: Card) -> Outcome:
    """Judges whether vLLM starts on a card: that it does not can be shown, that it does cannot.

    Raises one of toolkit.checks.refusals.REFUSALS, or TooManySettingsError.
    """
    choices = situation.space.extremes(situation.fields(*all_moved()))
    estimates = [situation.estimate(choice) for choice in choices]
    needs = [_least(one) for one in estimates]
    least = estimates[needs.index(min(needs))]
    share = max(share_of(one.setting, card)[1] for one in estimates)
    longest = least.setting.engine.get("max_model_len")
    held = f"weights, and a sequence of {longest:,} tokens" if longest else "weights"
    fact = f"vLLM needs at least {display_bytes(min(needs), 'binary')}: {held}"
    reason = f"{fact}; its share of {card.name} is {display_bytes(share, 'binary')}"
    evidence = Evidence(
        EvidenceKind.COMPUTED,
        Interval(Fraction(min(needs)), None),
        load_error(least),
        least.setting.stack.label(),
        (fact,),
    )
    if not all(cannot_start(one, card) for one in estimates):
        return Outcome(Verdict.UNCHECKED, f"{reason}; {NOT_FOLLOWED}", None, (evidence,))
    if mark is Mark.NO:
        return Outcome(Verdict.AGREES, reason, None, (evidence,))
    repair = "say that it does not fit, or name a larger GPU"
    return Outcome(Verdict.DISAGREES, reason, None, (evidence,), repair=repair)
