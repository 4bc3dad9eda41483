"""Whether a GPU has the memory: the device peak against what is usable of the card."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from toolkit.checks.case import Case, malformed
from toolkit.checks.judgement import Claimed, Outcome, Verdict
from toolkit.checks.quantities.engine import judge_start
from toolkit.checks.quantities.memory_claim import NO_SCENARIO
from toolkit.checks.quantities.memory_quantity import PEAK, Known, MemoryQuantity
from toolkit.checks.quantities.peak_memory import AT_LOAD, METRICS, at_load, load_error
from toolkit.checks.refusals import REFUSALS
from toolkit.checks.situations.situation import Situation, all_moved
from toolkit.checks.situations.space import Choice, Side, TooManySettingsError
from toolkit.checks.situations.spread import over_settings
from toolkit.checks.traced import reasons_aside, traced_evidence
from toolkit.evidence.evidence import Evidence, EvidenceKind
from toolkit.facts.gpu import Card
from toolkit.facts.gpus import find_gpu
from toolkit.facts.names import UnknownName
from toolkit.quantity import Mark, display_bytes, display_interval, parse_mark
from toolkit.quantity.interval import Interval
from toolkit.quantity.value import Dimension

STEADY = ("adapters", "gradients", "optimizer_states", "master_weights")
"""What is held from step to step beside the weights."""

NO_GPU = "the scenario names no GPU"


def judge_fits(case: Case) -> Outcome:
    """Judges a mark or a word that says that a scenario fits on a GPU, or does not.

    A card beside a model, or a batch size in a command, says so without a word: then the claim's subject does, as in
    `subject: {says: fits}`.
    """
    mark = parse_mark(str(case.claim.subject.get("says", case.text)))
    if mark is None:
        return malformed("mark or word that says whether it fits", case)
    claimed = Claimed(case.text)
    if case.situation is None:
        return Outcome(Verdict.UNCHECKED, NO_SCENARIO, claimed)
    name = case.situation.setting().gpu
    card = find_gpu(name) if name else UnknownName("", ())
    if isinstance(card, UnknownName):
        return Outcome(Verdict.UNCHECKED, NO_GPU if not name else f"no GPU is known as {name!r}", claimed)
    try:
        outcome = _judged(case, case.situation, mark, card)
        return replace(outcome, claimed=claimed)
    except (*REFUSALS, TooManySettingsError) as refusal:
        return Outcome(Verdict.UNCHECKED, f"cannot be computed: {refusal}", claimed)


def _judged(case: Case, situation: Situation, mark: Mark, card: Card) -> Outcome:
    if not at_load(case) and situation.setting().stack.trainer == "vllm":
        return judge_start(situation, mark, card)
    if at_load(case):
        return _over_settings(situation, mark, card, AT_LOAD["device"])
    if mark is Mark.NO and (outcome := _held_alone(situation, card)):
        return outcome
    return _over_settings(situation, mark, card, METRICS["device"])


def _held_alone(situation: Situation, card: Card) -> Outcome | None:
    """The outcome that it does not fit, where the memory held between steps alone exceeds the card at every setting."""
    choices = list(situation.space.extremes(situation.fields("weights", *STEADY)))
    held = [situation.holdings(choice) for choice in choices]
    least = min(held, key=lambda one: one.peak.total)
    total = least.peak.total
    if total <= card.usable_high:
        return None
    largest = max(least.ledger.peak.rows, key=lambda row: row.bytes)
    fact = f"{largest.name} {display_bytes(largest.bytes, 'binary')}"
    evidence = Evidence(
        EvidenceKind.COMPUTED, Interval(Fraction(total), None), load_error(least), least.setting.stack.label(), (fact,)
    )
    reason = f"needs at least {display_bytes(total, 'binary')} before anything is run ({fact}); {_usable(card)}"
    return Outcome(Verdict.AGREES, reason, None, (evidence,))


def _over_settings(situation: Situation, mark: Mark, card: Card, quantity: MemoryQuantity[Known]) -> Outcome:
    def side_at(choice: Choice) -> Side:
        need = quantity.truth(situation, choice)
        assert need.low is not None
        assert need.high is not None
        if mark is Mark.NO:
            return Side.BELOW if need.high <= card.usable_low else Side.HOLDS
        return Side.ABOVE if need.low > card.usable_high else Side.HOLDS

    spread, found = over_settings(situation.space, situation.fields(*all_moved()), side_at)
    looked = [quantity.look(situation, choice) for choice, _ in found.choices]
    needs = [quantity.of(known) for known in looked]
    whole = Interval.covering(needs)
    least = min(looked, key=lambda known: quantity.of(known).low or Fraction(0))
    evidence = Evidence(
        EvidenceKind.COMPUTED, whole, quantity.error(least), least.setting.stack.label(), (quantity.fact(least),)
    )
    reason = (
        f"needs {display_interval(whole, Dimension.BYTES, 'binary')}"
        f" (known to {float(evidence.error) * 100:.3g} %; {evidence.facts[0]}); {_usable(card)}"
    )
    choices = [choice for choice, _ in found.choices]
    seen = traced_evidence(situation, choices, quantity.view) if quantity.name == PEAK else ()
    reason += "".join(f"; {one.kind} {display_interval(one.value, Dimension.BYTES, 'binary')}" for one in seen)
    reason += reasons_aside(situation, choices, quantity.view)
    repair = spread.repair
    if spread.verdict is Verdict.DISAGREES:
        repair = "say that it fits" if mark is Mark.NO else "say that it does not fit, or name a larger GPU"
    return Outcome(spread.verdict, reason, None, (evidence, *seen), spread.boundary, repair, turns=spread.turns)


def _usable(card: Card) -> str:
    usable = Interval.between(card.usable_low, card.usable_high)
    return f"{card.name} has {display_interval(usable, Dimension.BYTES, 'binary')} usable"
