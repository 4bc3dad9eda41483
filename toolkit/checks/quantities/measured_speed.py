"""How much faster one scenario is than another, where both were measured on one card."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from toolkit.checks.case import Case, malformed
from toolkit.checks.judgement import Outcome, Verdict
from toolkit.checks.situations.situation import Situation
from toolkit.checks.situations.space import Side
from toolkit.checks.situations.spread import side_of
from toolkit.checks.traces import is_card, stack_of
from toolkit.evidence.evidence import Evidence, EvidenceKind
from toolkit.evidence.record import Record, setting_key
from toolkit.memory.measure.speed import WORK, ratio
from toolkit.quantity import display_interval
from toolkit.quantity.interval import Interval
from toolkit.quantity.value import Dimension


def judge_measured_speed(case: Case, reason: str) -> Outcome:
    """Judges a ratio by records of its two scenarios; `reason` is said where there are none.

    A ratio is known for the card on which both were measured, and for no other.
    """
    share = case.value(Dimension.RATIO) is None and case.value(Dimension.SHARE) is not None
    value = case.value(Dimension.SHARE if share else Dimension.RATIO)
    if value is None:
        return malformed("ratio", case)
    claimed = case.claimed(value)
    work = str(case.claim.subject.get("work", "training"))
    if work not in WORK or case.start is None or case.end is None:
        known = ", ".join(WORK)
        return Outcome(Verdict.UNCHECKED, f"it needs two scenarios, and work that is one of {known}", claimed)
    found = list(_ratios(case.start, case.end, work))
    if not found:
        return Outcome(Verdict.UNCHECKED, reason, claimed)
    truths = [_more(one) if share else one for one, _ in found]
    record = found[0][1]
    whole = truths[0]
    for truth in truths[1:]:
        whole = whole.hull(truth)
    fact = f"{display_interval(whole, value.unit.dimension)} in {work}, measured on {record.gpu}"
    if not is_card(record, case.gpu):
        return Outcome(Verdict.UNCHECKED, f"{fact}, and the claim is about {case.gpu or 'no card by name'}", claimed)
    evidence = (Evidence(EvidenceKind.MEASURED, whole, stack=stack_of(record), facts=(fact,)),)
    holds = [side_of(claimed.readings.values(), truth) is Side.HOLDS for truth in truths]
    if all(holds):
        return Outcome(Verdict.AGREES, fact, claimed, evidence)
    verdict = Verdict.DEPENDS if any(holds) else Verdict.DISAGREES
    return Outcome(verdict, fact, claimed, evidence, repair=f"print {display_interval(whole, value.unit.dimension)}")


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
