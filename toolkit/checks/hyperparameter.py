"""A setting that the document states: whether it is the same everywhere that it does."""

from __future__ import annotations

from fractions import Fraction

from toolkit.checks.case import Case
from toolkit.checks.judgement import Claimed, Outcome, Verdict
from toolkit.checks.memory_claim import NO_SCENARIO
from toolkit.documents.drift import says, written
from toolkit.evidence.evidence import Evidence, EvidenceKind
from toolkit.quantity.interval import Interval
from toolkit.quantity.value import Dimension
from toolkit.spec.field_value import FieldValue, Range, Reference
from toolkit.spec.names import FOUR_BIT

_FOUR_BIT_WORDS = frozenset({"4-bit", "4 bit", "4bit", "int4", "four-bit"})


def judge_hyperparameter(case: Case) -> Outcome:
    """Judges a stated setting against the same field of the scenario that the document's other figures rest on."""
    claimed = Claimed(case.text)
    field = str(case.claim.subject.get("field", ""))
    if case.scenario is None:
        return Outcome(Verdict.UNCHECKED, NO_SCENARIO, claimed)
    said = case.scenario.fields.get(field)
    if said is None:
        return Outcome(Verdict.UNCHECKED, f"the scenario says nothing of {field or 'which field is meant'}", claimed)
    assert not isinstance(said.value, Reference), "the document's values were put in before"
    shown = written(said.value)
    fact = f"the scenario {case.scenario.name} has {field} {shown}"
    evidence = Evidence(EvidenceKind.EXACT, _interval(shown), facts=(fact,))
    if says(case.text, said.value) or _is_end(case, said.value) or _is_four_bit(case.text, shown):
        return Outcome(Verdict.AGREES, fact, claimed, (evidence,))
    reason = f"{fact}, on which the document's other figures rest"
    return Outcome(Verdict.DISAGREES, reason, claimed, (evidence,), repair=f"say {shown}, or correct the other place")


def _is_end(case: Case, typed: FieldValue) -> bool:
    """Whether a number is an end of the range that a scenario leaves open: a limit that the document states."""
    if not isinstance(typed, Range):
        return False
    value = case.value(Dimension.NUMBER)
    return value is not None and bool({Fraction(typed.low), Fraction(typed.high)} & set(value.printed))


def _is_four_bit(text: str, shown: str) -> bool:
    """Documents say "4-bit" of what a scenario has to call by its format."""
    return text.strip().casefold() in _FOUR_BIT_WORDS and shown in FOUR_BIT


def _interval(shown: str) -> Interval:
    try:
        return Interval.point(Fraction(shown))
    except (ValueError, ZeroDivisionError):
        return Interval(None, None)
