"""Memory of a GPU: what a card is sold with, or what a program can use of it."""

from __future__ import annotations

from toolkit.checks.case import Case, malformed
from toolkit.checks.judgement import Claimed, Outcome, Verdict
from toolkit.evidence.evidence import Evidence, EvidenceKind
from toolkit.facts.gpu import Card
from toolkit.facts.gpus import find_gpu
from toolkit.facts.names import UnknownName
from toolkit.quantity import display_interval
from toolkit.quantity.interval import Interval
from toolkit.quantity.value import Dimension, Value


def judge_gpu_memory(case: Case) -> Outcome:
    """Judges a printed memory of a named card against the facts of that card.

    A claim that is about no scenario names its card itself: `subject: {gpu: RTX 4090}`.
    """
    value = case.value(Dimension.BYTES)
    if value is None:
        return malformed("amount of memory", case)
    claimed = _claimed(value)
    named = case.claim.subject.get("gpu")
    name = case.gpu if named is None else case.referred(str(named))
    if name is None:
        return Outcome(Verdict.UNCHECKED, "the claim names no GPU", claimed)
    card = find_gpu(name)
    if isinstance(card, UnknownName):
        near = f" (nearest: {', '.join(card.nearest)})" if card.nearest else ""
        return Outcome(Verdict.UNCHECKED, f"no GPU is known as {name!r}{near}", claimed)
    usable = case.claim.subject.get("what") == "usable"
    return _usable(card, claimed) if usable else _marketing(card, claimed)


def _claimed(value: Value) -> Claimed:
    """A card's GB are 2**30 bytes whatever the document's own are: that is how cards are sold."""
    readings = value.readings()
    admitted = {name: interval for name, interval in readings.items() if name != "decimal"} or readings
    return Claimed(value.text, value.unit.dimension, value.unit.symbol, admitted)


def _marketing(card: Card, claimed: Claimed) -> Outcome:
    memories = sorted({gpu.marketing_bytes for gpu in card.members})
    shown = " or ".join(f"{memory >> 30} GB" for memory in memories)
    evidence = Evidence(EvidenceKind.EXACT, _hull(memories), facts=(f"{card.name} is sold with {shown}",))
    holds = any(side.meets(Interval.point(memory)) for side in claimed.readings.values() for memory in memories)
    if holds:
        return Outcome(Verdict.AGREES, evidence.facts[0], claimed, (evidence,))
    note = f"; {card.note.rstrip('.')}" if card.note else ""
    return Outcome(Verdict.DISAGREES, evidence.facts[0] + note, claimed, (evidence,), repair=f"print {shown}")


def _usable(card: Card, claimed: Claimed) -> Outcome:
    truth = Interval.between(card.usable_low, card.usable_high)
    shown = display_interval(truth, Dimension.BYTES, "binary")
    fact = f"programs were seen to have {shown} of a {card.name}"
    if card.usable_kind == "derived":
        fact = f"by the rule for its class a program has {shown} of a {card.name}"
    evidence = Evidence(EvidenceKind.EXACT, truth, facts=(fact,))
    if any(interval.meets(truth) for interval in claimed.readings.values()):
        return Outcome(Verdict.AGREES, fact, claimed, (evidence,))
    if all(interval.high is not None and interval.high < card.usable_low for interval in claimed.readings.values()):
        reason = f"{fact}; other programs may have left less free, and nothing here shows how much"
        return Outcome(Verdict.UNCHECKED, reason, claimed, (evidence,))
    return Outcome(Verdict.DISAGREES, fact, claimed, (evidence,), repair=f"print a figure within {shown}")


def _hull(memories: list[int]) -> Interval:
    return Interval.between(memories[0], memories[-1])
