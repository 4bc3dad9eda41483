"""Space on disk: that of the model's published checkpoint, where a scenario names the model."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from toolkit.checks.case import Case, malformed
from toolkit.checks.judgement import Claimed, Outcome, Verdict
from toolkit.checks.quantities.checkpoint import published_format
from toolkit.checks.refusals import REFUSALS
from toolkit.checks.situations.situation import Situation
from toolkit.checks.situations.space import Side
from toolkit.checks.situations.spread import side_of
from toolkit.evidence.evidence import Evidence, EvidenceKind
from toolkit.memory.weights.storage import weight_bytes
from toolkit.quantity import display_bytes
from toolkit.quantity.interval import Interval
from toolkit.quantity.value import Dimension

HEADERS = Fraction(1, 1000)
"""safetensors headers and the tokenizer beside the tensors: under a thousandth of any model here."""


def judge_disk(case: Case) -> Outcome:
    """Judges the size of a model's download by the bytes of its published tensors.

    With `subject: {says: enough}` the printed amount is what a reader shall have free, and no size: it may be larger.
    """
    value = case.value(Dimension.BYTES)
    if value is None:
        return malformed("amount of disk space", case)
    claimed = case.claimed(value)
    if case.situation is None:
        return Outcome(Verdict.UNCHECKED, "the claim names no model whose files it is about", claimed)
    try:
        size = checkpoint_bytes(case.situation)
    except REFUSALS as refusal:
        return Outcome(Verdict.UNCHECKED, f"cannot be computed: {refusal}", claimed)
    if size is None:
        return Outcome(Verdict.UNCHECKED, "how the checkpoint is stored is not recorded", claimed)
    shown = display_bytes(size, case.reading)
    fact = f"the published tensors of {case.situation.facts.id} take {shown}"
    evidence = Evidence(EvidenceKind.EXACT, Interval.point(size), HEADERS, facts=(fact,))
    if side_of(_admitted(case, claimed), evidence.interval) is Side.HOLDS:
        return Outcome(Verdict.AGREES, fact, claimed, (evidence,))
    return Outcome(Verdict.DISAGREES, fact, claimed, (evidence,), repair=f"print {shown}")


def _admitted(case: Case, claimed: Claimed) -> list[Interval]:
    """The sizes that the claim admits: those printed, or all up to what shall be free."""
    readings = list(claimed.readings.values())
    if case.claim.subject.get("says") != "enough":
        return readings
    return [Interval(None, reading.low if reading.high is None else reading.high) for reading in readings]


def disk_agrees(case: Case) -> bool:
    """Whether the claim holds: what shows which GB a document means."""
    return judge_disk(case).verdict is Verdict.AGREES


def checkpoint_bytes(situation: Situation) -> int | None:
    """The bytes of the published tensors; None where their format is not recorded. Raises one of REFUSALS."""
    stored = published_format(situation.facts)
    if stored is None:
        return None
    return weight_bytes(situation.architecture(), replace(situation.setting(), weights=stored, double_quant=False))
