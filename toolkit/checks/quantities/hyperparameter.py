"""A setting that the document states: whether it is the same everywhere, or what the model's config has."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from toolkit.checks.case import Case
from toolkit.checks.judgement import Claimed, Outcome, Verdict
from toolkit.checks.quantities.memory_claim import NO_SCENARIO
from toolkit.documents.drift import says, written
from toolkit.evidence.evidence import Evidence, EvidenceKind
from toolkit.quantity.interval import Interval
from toolkit.quantity.value import Dimension
from toolkit.spec.fields.names import FOUR_BIT, OTHER_SPELLINGS
from toolkit.spec.fields.value import FieldValue, Fixed, Range, Reference

_FOUR_BIT_WORDS = frozenset({"4-bit", "4 bit", "4bit", "int4", "four-bit"})


def judge_hyperparameter(case: Case) -> Outcome:
    """Judges a stated setting against the same field of the scenario that the document's other figures rest on.

    With `subject: {config: max_position_embeddings}` it is one of the model, and judged against its published config.
    """
    claimed = Claimed(case.text)
    if key := case.claim.subject.get("config"):
        return _of_model(case, str(key), claimed)
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
    if says(case.text, said.value) or _is_end(case, said.value) or _is_spelled(case.text, shown):
        return Outcome(Verdict.AGREES, fact, claimed, (evidence,))
    reason = f"{fact}, on which the document's other figures rest"
    return Outcome(Verdict.DISAGREES, reason, claimed, (evidence,), repair=f"say {shown}, or correct the other place")


def _is_end(case: Case, typed: FieldValue) -> bool:
    """Whether a number is an end of the range that a scenario leaves open: a limit that the document states."""
    if not isinstance(typed, Range):
        return False
    value = case.value(Dimension.NUMBER)
    return value is not None and bool({Fraction(typed.low), Fraction(typed.high)} & set(value.printed))


def _is_spelled(text: str, shown: str) -> bool:
    """Whether a text is another name of a format: "bfloat16", or "4-bit", of which a scenario says more."""
    word = text.strip().casefold()
    return OTHER_SPELLINGS.get(word) == shown or (word in _FOUR_BIT_WORDS and shown in FOUR_BIT)


def _of_model(case: Case, key: str, claimed: Claimed) -> Outcome:
    """The verdict on a setting that the config of the scenario's model has under a key."""
    if case.situation is None:
        return Outcome(Verdict.UNCHECKED, NO_SCENARIO, claimed)
    facts = case.situation.facts
    value = _configured(facts.config, key)
    if value is None:
        return Outcome(Verdict.UNCHECKED, f"the config of {facts.id} has no {key}", claimed)
    fact = f"the config of {facts.id} has {key} {value}"
    evidence = Evidence(EvidenceKind.EXACT, _interval(str(value)), facts=(fact,))
    if says(case.text, Fixed(value)):
        return Outcome(Verdict.AGREES, fact, claimed, (evidence,))
    return Outcome(Verdict.DISAGREES, fact, claimed, (evidence,), repair=f"say {value}")


def _configured(config: Mapping[str, Any], key: str) -> str | int | float | None:
    """The value under a key of a config, or of its text part; None where it has none that a text could state."""
    for part in (config, config.get("text_config")):
        value = part.get(key) if isinstance(part, Mapping) else None
        if isinstance(value, str | int | float):
            return value
    return None


def _interval(shown: str) -> Interval:
    try:
        return Interval.point(Fraction(shown))
    except (ValueError, ZeroDivisionError):
        return Interval(None, None)
