"""The common way of a claim about a number that is counted exactly: parameters, shares of them, steps."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from toolkit.checks.case import Case, malformed
from toolkit.checks.judgement import Claimed, Outcome, Verdict
from toolkit.checks.quantities.memory_claim import NO_SCENARIO
from toolkit.checks.refusals import REFUSALS
from toolkit.checks.situations.situation import Situation
from toolkit.checks.situations.space import Choice, Side, TooManySettingsError
from toolkit.checks.situations.spread import over_settings, side_of
from toolkit.checks.why import Why, explain
from toolkit.evidence.evidence import Evidence, EvidenceKind
from toolkit.frozen import frozen
from toolkit.quantity import display_interval
from toolkit.quantity.interval import Interval
from toolkit.quantity.value import Dimension


class UndefinedError(Exception):
    """The quantity has no value at a setting: something that it needs is not stated. Says what."""


@frozen
class CountedQuantity:
    """A quantity that is counted: its dimension, how it is read off a situation, what moves it, its words.

    `of` raises UndefinedError where the scenario does not say enough. `grows` says that no range lessens it.
    """

    name: str
    dimension: Dimension
    of: Callable[[Situation, Choice], Fraction]
    moved_by: frozenset[str]
    fact: Callable[[Situation, Choice], str]
    noun: str
    grows: bool = True


def judge_count(case: Case, quantity: CountedQuantity) -> Outcome:
    """Judges a claim about a counted number over all settings of its scenario."""
    value = case.value(quantity.dimension)
    if value is None:
        return malformed(quantity.noun, case)
    claimed = case.claimed(value)
    if case.situation is None:
        return Outcome(Verdict.UNCHECKED, NO_SCENARIO, claimed)
    try:
        return _judged(case, case.situation, claimed, quantity)
    except (*REFUSALS, TooManySettingsError) as refusal:
        return Outcome(Verdict.UNCHECKED, f"cannot be counted: {refusal}", claimed)
    except UndefinedError as missing:
        return Outcome(Verdict.UNCHECKED, str(missing), claimed)


def _judged(case: Case, situation: Situation, claimed: Claimed, quantity: CountedQuantity) -> Outcome:
    def side_at(choice: Choice) -> Side:
        return side_of(claimed.readings.values(), Interval.point(quantity.of(situation, choice)))

    fields = situation.fields(*quantity.moved_by)
    spread, found = over_settings(situation.space, fields, side_at, grows=quantity.grows)
    truths = {quantity.of(situation, choice): choice for choice, _ in found.choices}
    whole = Interval(min(truths), max(truths))
    middle = _middle(claimed)
    nearest = truths[min(truths, key=lambda truth: abs(truth - middle))]
    fact = quantity.fact(situation, nearest)
    evidence = Evidence(EvidenceKind.EXACT, whole, facts=(fact,))
    reason, repair = fact, spread.repair
    if spread.verdict is Verdict.DISAGREES:
        because = explain(_why(case, situation, quantity, claimed, nearest))
        reason = f"{fact}; {because}" if because else fact
        repair = f"print {display_interval(whole, quantity.dimension)}"
    return Outcome(spread.verdict, reason, claimed, (evidence,), spread.boundary, repair)


def _why(case: Case, situation: Situation, quantity: CountedQuantity, claimed: Claimed, choice: Choice) -> Why:
    return Why(case, situation, quantity.name, claimed, situation.holdings(choice), choice)


def _middle(claimed: Claimed) -> Fraction:
    interval = next(iter(claimed.readings.values()))
    ends = [end for end in (interval.low, interval.high) if end is not None]
    return sum(ends, Fraction(0)) / len(ends)
