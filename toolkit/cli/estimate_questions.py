"""The questions of `toolkit estimate`: the largest that fits, what changes do, and which would save memory."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from toolkit.checks.questions.advice import advise
from toolkit.checks.questions.comparison import Comparison, changed_scenario, compare
from toolkit.checks.questions.largest import largest
from toolkit.checks.questions.limit import missing
from toolkit.checks.situations.answer import Answer
from toolkit.cli.estimate_scenario import Asked, tell
from toolkit.cli.field_flags import written
from toolkit.cli.main import COULD_NOT
from toolkit.cli.output import emit, hint
from toolkit.facts.gpu import Card
from toolkit.facts.gpus import find_gpu, gpus
from toolkit.facts.names import UnknownName, nearest
from toolkit.report.comparison import advice_json, advice_text, comparisons_json, comparisons_text
from toolkit.report.largest import largest_json, largest_text
from toolkit.report.terminal import Paint
from toolkit.spec.fields.registry import FIELDS
from toolkit.spec.load import checked_scenario, fields_from_flags
from toolkit.spec.scenario import Scenario

_NEXT_FIELD = re.compile(r",(?=\s*[a-z][a-z_.-]*=)")


def solved(found: Asked, name: str, paint: Paint, *, as_text: bool) -> int:
    """Prints the largest values of a field that fit."""
    reason = missing(name, found.scenario)
    if reason is not None:
        hint(reason)
        return COULD_NOT
    if name in found.scenario.fields:
        hint(f"{name} of the scenario is asked for anew")
    solution = largest(found.scenario, found.base, name, _cards(found.scenario))
    if solution is None:
        hint(f"no model is known as {found.scenario.model}")
        return COULD_NOT
    emit(largest_text(solution, paint) if as_text else largest_json(solution, found.read))
    return 0


def _cards(scenario: Scenario) -> list[Card]:
    """The cards that the scenario names, or every card of the table."""
    named = [find_gpu(str(name)) for name in scenario.possible("gpu") if name is not None]
    return [card for card in named if not isinstance(card, UnknownName)] or list(gpus())


def compared(found: Asked, before: Answer, changes: Sequence[str], paint: Paint, *, as_text: bool) -> int:
    """Prints what each change does."""
    comparisons: list[Comparison] = []
    for text in changes:
        changed = _changed(found, text)
        comparison = compare(before, changed, text, found.base) if changed is not None else None
        if comparison is None:
            return COULD_NOT
        comparisons.append(comparison)
    emit(comparisons_text(before, comparisons, paint) if as_text else comparisons_json(before, comparisons, found.read))
    return 0


def _changed(found: Asked, text: str) -> Scenario | None:
    """The scenario with the fields of a change; None where it cannot be read."""
    said: dict[str, str] = {}
    for part in _NEXT_FIELD.split(text):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if name in FIELDS and not equals:
            hint(f"--compare takes FIELD=VALUE, and {part[:60]!r} says no value of {name}")
            return None
        if name not in FIELDS:
            near = nearest(name, FIELDS)
            known = f"; did you mean {' or '.join(near)}?" if near else ""
            hint(f"--compare takes FIELD=VALUE, and {part[:60]!r} names no field{known}")
            return None
        said[name] = written(name, value)
    fields, findings = fields_from_flags(said)
    changed = None
    if fields is not None and not findings:
        # A value of its own that does not belong to the scenario is a mistake; what it takes over is left out.
        changed, findings = checked_scenario(changed_scenario(found.scenario, fields), found.base)
    tell(findings)
    return None if changed is None else replace(changed, name=found.scenario.name)


def advised(found: Asked, before: Answer, paint: Paint, *, as_text: bool) -> int:
    """Prints what known changes would save."""
    advice = advise(before, found.base)
    emit(advice_text(before, advice, paint) if as_text else advice_json(before, advice, found.read))
    return 0
