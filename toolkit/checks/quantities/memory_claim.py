"""Judges claims about bytes: evidence at every setting, the verdict over them, and why a wrong claim is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from toolkit.checks.case import Case, malformed
from toolkit.checks.judgement import BEST_FIRST, Claimed, Outcome, Verdict
from toolkit.checks.quantities.added_rows import AddedRowsError, with_added
from toolkit.checks.quantities.memory_quantity import PEAK, Known, MemoryQuantity
from toolkit.checks.refusals import REFUSALS
from toolkit.checks.situations.situation import Situation
from toolkit.checks.situations.space import Choice, Side, TooManySettingsError
from toolkit.checks.situations.spread import Spread, over_settings, side_of
from toolkit.checks.situations.survey import Survey
from toolkit.checks.traced import reasons_aside, traced_evidence
from toolkit.checks.why import Why, explain
from toolkit.evidence.evidence import Evidence, EvidenceKind
from toolkit.quantity import Mark, display_interval, parse_mark
from toolkit.quantity.interval import Interval
from toolkit.quantity.value import Dimension

NO_SCENARIO = "the claim names no scenario, so there is nothing to compute it from"


def judge_memory(case: Case, quantity: MemoryQuantity[Known]) -> Outcome:
    """Judges a claim about bytes over all settings of its scenario."""
    try:
        quantity = with_added(quantity, case.claim.subject)
    except AddedRowsError as mistake:
        return Outcome(Verdict.UNCHECKED, str(mistake), Claimed(case.text))
    value = case.value(Dimension.BYTES)
    if value is None:
        mark = parse_mark(case.text)
        return malformed("amount of memory", case) if mark is None else _present(case, quantity, mark)
    claimed = case.claimed(value)
    if case.situation is None:
        return Outcome(Verdict.UNCHECKED, NO_SCENARIO, claimed)
    try:
        return _over_settings(case, case.situation, claimed, quantity)
    except (*REFUSALS, TooManySettingsError) as refusal:
        return Outcome(Verdict.UNCHECKED, f"cannot be computed: {refusal}", claimed)


def agrees(case: Case, quantity: MemoryQuantity[Known]) -> bool:
    """Whether a claim holds at every setting of its scenario: the verdict alone, without its reason."""
    value = case.value(Dimension.BYTES)
    if value is None or case.situation is None:
        return False
    claimed = case.claimed(value)
    try:
        whole = with_added(quantity, case.claim.subject)
        spreads = [_spread(case.situation, whole, interval)[0] for interval in claimed.readings.values()]
    except (AddedRowsError, *REFUSALS, TooManySettingsError):
        return False
    return any(spread.verdict is Verdict.AGREES for spread in spreads)


def _present(case: Case, quantity: MemoryQuantity[Known], mark: Mark) -> Outcome:
    """Judges a mark in place of an amount, which says whether the quantity is there at all."""
    claimed = Claimed(case.text)
    if case.situation is None:
        return Outcome(Verdict.UNCHECKED, NO_SCENARIO, claimed)
    situation = case.situation
    try:
        spread, found = over_settings(
            situation.space,
            situation.fields(*quantity.moved_by),
            lambda choice: _side_of_presence(quantity.of(quantity.look(situation, choice)), mark),
        )
        looked = [quantity.look(situation, choice) for choice, _ in found.choices]
    except (*REFUSALS, TooManySettingsError) as refusal:
        return Outcome(Verdict.UNCHECKED, f"cannot be computed: {refusal}", claimed)
    shown, amount = looked[0], Interval.covering(quantity.of(known) for known in looked)
    fact = f"{display_interval(amount, Dimension.BYTES, case.reading)} of {quantity.name.replace('_', ' ')}"
    evidence = Evidence(EvidenceKind.COMPUTED, amount, quantity.error(shown), shown.setting.stack.label(), (fact,))
    return Outcome(spread.verdict, fact, claimed, (evidence,), spread.boundary, spread.repair)


def _side_of_presence(amount: Interval, mark: Mark) -> Side:
    present = amount.high is None or amount.high > 0
    return Side.HOLDS if present is (mark is not Mark.NO) else Side.ABOVE


def _over_settings(case: Case, situation: Situation, claimed: Claimed, quantity: MemoryQuantity[Known]) -> Outcome:
    def truth_at(choice: Choice) -> Interval:
        return quantity.truth(situation, choice)

    spread, found = min(
        (_spread(situation, quantity, interval) for interval in claimed.readings.values()),
        key=lambda one: BEST_FIRST.index(one[0].verdict),
    )
    choices = [choice for choice, _ in found.choices]
    estimates = [quantity.look(situation, choice) for choice in choices]
    values = [quantity.of(estimate) for estimate in estimates]
    whole = Interval.covering(values)
    nearest = choices[_nearest(values, claimed)]
    shown = quantity.look(situation, nearest)
    evidence = Evidence(
        EvidenceKind.COMPUTED, whole, quantity.error(shown), shown.setting.stack.label(), (quantity.fact(shown),)
    )
    seen = traced_evidence(situation, choices, quantity.view) if quantity.name == PEAK else ()
    aside = reasons_aside(situation, choices, quantity.view) if quantity.name == PEAK else ""
    reason = _reason(case, claimed, (evidence, *seen), spread.verdict) + aside
    repair = spread.repair
    if spread.verdict is Verdict.DISAGREES:
        if because := explain(Why(case, situation, quantity.name, claimed, shown, nearest, truth_at(nearest))):
            reason = f"{reason}; {because}"
        repair = f"print {display_interval(whole, Dimension.BYTES, case.reading)}"
    return Outcome(spread.verdict, reason, claimed, (evidence, *seen), spread.boundary, repair, turns=spread.turns)


def _spread(situation: Situation, quantity: MemoryQuantity[Known], claimed: Interval) -> tuple[Spread, Survey]:
    """The verdict on one reading of a claim, computed once for claims that state the same."""
    key = (quantity.name, quantity.view, claimed)
    if key not in situation.spreads:
        situation.spreads[key] = over_settings(
            situation.space,
            situation.fields(*quantity.moved_by),
            lambda choice: side_of([claimed], quantity.truth(situation, choice)),
        )
    return situation.spreads[key]


def _nearest(values: list[Interval], claimed: Claimed) -> int:
    """The index of the value nearest to the claim."""
    intervals = list(claimed.readings.values())

    def distance(index: int) -> Fraction:
        return min(_gap(values[index], interval) for interval in intervals)

    return min(range(len(values)), key=distance)


def _gap(value: Interval, claimed: Interval) -> Fraction:
    if value.meets(claimed):
        return Fraction(0)
    if value.high is not None and claimed.low is not None and value.high < claimed.low:
        return claimed.low - value.high
    assert value.low is not None
    assert claimed.high is not None
    return value.low - claimed.high


def _reason(case: Case, claimed: Claimed, evidence: Sequence[Evidence], verdict: Verdict) -> str:
    reason = "; ".join(_known(case, one) for one in evidence)
    return reason + (_off(claimed, evidence[-1]) if verdict is Verdict.DISAGREES else "")


def _known(case: Case, evidence: Evidence) -> str:
    shown = display_interval(evidence.value, Dimension.BYTES, case.reading)
    allowed = f"known to {float(evidence.error) * 100:.3g} %" if evidence.error else "exact"
    return f"{evidence.kind.value} {shown} ({evidence.facts[0]}; {allowed})"


def _off(claimed: Claimed, evidence: Evidence) -> str:
    """The distance between the nearest ends of evidence and claim, in percent of the claim, in words."""
    best: tuple[Fraction, str] | None = None
    for interval in claimed.readings.values():
        gap = _gap(evidence.value, interval)
        below = evidence.value.high is not None and interval.low is not None and evidence.value.high < interval.low
        base = interval.low if below else interval.high
        if base:
            share = gap / abs(base)
            sign = "-" if below else "+"
            if best is None or share < best[0]:
                best = (share, f", {sign}{float(share) * 100:.3g} % beyond the claim")
    return best[1] if best and best[0] else ""
