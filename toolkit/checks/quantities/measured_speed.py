"""How much faster one scenario is than another, where both were measured on one card."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import reduce

from toolkit.checks.case import Case, malformed
from toolkit.checks.judgement import Claimed, Outcome, Verdict
from toolkit.checks.other_card import is_card
from toolkit.checks.situations.situation import Situation
from toolkit.checks.situations.space import Side
from toolkit.checks.situations.spread import side_of
from toolkit.checks.traces import stack_of
from toolkit.evidence.evidence import Evidence, EvidenceKind
from toolkit.evidence.record import Record, setting_key
from toolkit.memory.measure.speed import WORK, ratio
from toolkit.quantity import display_interval
from toolkit.quantity.interval import Interval
from toolkit.quantity.value import Dimension

WORDED: Mapping[str, Interval] = {
    "faster": Interval(Fraction(1), None),
    "slower": Interval.between(0, 1),
}
"""Ratios that a word alone claims."""


def judge_measured_speed(case: Case, reason: str) -> Outcome:
    """Judges a ratio by records of its two scenarios; `reason` is said where there are none.

    A ratio is known for the cards on which both were measured, and for no other. A claim about a card by name is judged
    there. One that names none agrees where it holds on every card that was measured; where it fails on one it depends,
    for nothing is known of the others. A word alone, "faster" or "slower", claims more or less than 1.
    """
    share = case.value(Dimension.RATIO) is None and case.value(Dimension.SHARE) is not None
    value = case.value(Dimension.SHARE if share else Dimension.RATIO)
    claimed = case.claimed(value) if value is not None else _worded(case.text)
    if claimed is None:
        return malformed("ratio", case)
    work = str(case.claim.subject.get("work", "training"))
    if work not in WORK or case.start is None or case.end is None:
        known = ", ".join(WORK)
        return Outcome(Verdict.UNCHECKED, f"it needs two scenarios, and work that is one of {known}", claimed)
    found = [_OnCard(pairs, share=share) for pairs in _by_card(_ratios(case.start, case.end, work))]
    about = [one for one in found if case.gpu is None or is_card(one.record, case.gpu)]
    if about:
        return _judged(case, claimed, about, work)
    others = "; ".join(one.fact(work) for one in found)
    return Outcome(Verdict.UNCHECKED, f"{others}, and the claim is about {case.gpu}" if others else reason, claimed)


def _worded(text: str) -> Claimed | None:
    """What a word alone claims of a ratio; None where it is none of them."""
    readings = {word: interval for word, interval in WORDED.items() if word in text.lower().split()}
    return Claimed(text, Dimension.RATIO, "x", readings) if len(readings) == 1 else None


class _OnCard:
    """What was measured of a ratio on one card, at one setting of both scenarios or several."""

    def __init__(self, pairs: Sequence[tuple[Interval, Record]], *, share: bool) -> None:
        self.truths = [_more(one) if share else one for one, _ in pairs]
        self.record = pairs[0][1]
        self.whole = reduce(Interval.hull, self.truths)
        self.dimension = Dimension.SHARE if share else Dimension.RATIO

    def sides(self, claimed: Claimed) -> list[bool]:
        """Whether the claim holds, pair by pair."""
        return [side_of(claimed.readings.values(), truth) is Side.HOLDS for truth in self.truths]

    def shown(self) -> str:
        """The ratio as a document would print it."""
        return display_interval(self.whole, self.dimension)

    def fact(self, work: str) -> str:
        """The ratio, and where it was measured."""
        return f"{self.shown()} in {work}, measured on {self.record.gpu}"

    def evidence(self, work: str) -> Evidence:
        """The ratio as evidence."""
        return Evidence(EvidenceKind.MEASURED, self.whole, stack=stack_of(self.record), facts=(self.fact(work),))


def _judged(case: Case, claimed: Claimed, about: Sequence[_OnCard], work: str) -> Outcome:
    """The verdict of the cards that a claim may be about."""
    sides = [one.sides(claimed) for one in about]
    evidence = tuple(one.evidence(work) for one in about)
    fact = "; ".join(one.fact(work) for one in about)
    if case.gpu is None:
        fact = f"{fact}; the claim names no card"
    if all(map(all, sides)):
        return Outcome(Verdict.AGREES, fact, claimed, evidence)
    repair = "; ".join(f"print {one.shown()}" + ("" if case.gpu else f" on {one.record.gpu}") for one in about)
    if case.gpu is not None and not any(map(any, sides)):
        return Outcome(Verdict.DISAGREES, fact, claimed, evidence, repair=repair)
    boundary = "" if case.gpu else _boundary(about, sides)
    return Outcome(Verdict.DEPENDS, fact, claimed, evidence, boundary, repair)


def _boundary(about: Sequence[_OnCard], sides: Sequence[Sequence[bool]]) -> str:
    """On which cards a claim that names none is true, and on which it is false at some setting or at all."""
    said = []
    for word, wanted in (("true", True), ("false", False)):
        cards = [str(one.record.gpu) for one, held in zip(about, sides, strict=True) if all(held) is wanted]
        said += [f"{word} on {', '.join(dict.fromkeys(cards))}"] if cards else []
    return f"{', '.join(said)}; other cards were not measured"


def _by_card(pairs: Iterable[tuple[Interval, Record]]) -> list[list[tuple[Interval, Record]]]:
    """The ratios, those of one card and one stack together."""
    found: dict[tuple[str | None, str], list[tuple[Interval, Record]]] = {}
    for interval, record in pairs:
        found.setdefault((record.gpu, stack_of(record)), []).append((interval, record))
    return list(found.values())


def _ratios(start: Situation, end: Situation, work: str) -> Iterator[tuple[Interval, Record]]:
    """The ratios of all pairs of records that differ in nothing but what tells the scenarios apart."""
    differing = _differing(setting_key(start.setting()), setting_key(end.setting()))
    for first in _measured(start):
        for second in _measured(end):
            if _differing(first.setting, second.setting) <= differing:
                found = ratio(first, second, work)
                if found is not None:
                    yield Interval(*found), second


def _measured(situation: Situation) -> list[Record]:
    records = situation.traces.measured if situation.traces else ()
    config = situation.facts.config_hash
    return [one for one in records if one.scenario == situation.scenario and one.config_hash == config]


def _differing(one: Mapping[str, object], other: Mapping[str, object]) -> set[str]:
    return {name for name in {*one, *other} if one.get(name) != other.get(name)}


def _more(times: Interval) -> Interval:
    """How many percent faster: a share of the speed."""
    assert times.low is not None
    assert times.high is not None
    return Interval(times.low - 1, times.high - 1)
