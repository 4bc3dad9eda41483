"""Fields of a scenario whose values are read from the document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

from toolkit.documents.drift import answer, same_name
from toolkit.documents.plain import plain
from toolkit.quantity import parse_value
from toolkit.spec.fields.kind import Boolean, Integer, Number, OneOf
from toolkit.spec.fields.registry import FIELDS
from toolkit.spec.fields.value import Atom, Fixed, Reference
from toolkit.spec.scenario import Scenario


class HasText(Protocol):
    """A text of the document."""

    @property
    def text(self) -> str:
        """What stands in the slot."""


def read_field(name: str, text: str) -> Atom:
    """The value of a scenario field as a slot states it; None if the field cannot have it."""
    kind = FIELDS[name].kind
    if isinstance(kind, Integer | Number):
        return _number(kind, text)
    if isinstance(kind, Boolean):
        return answer(text)
    if isinstance(kind, OneOf):
        return next((known for known in kind.names if same_name(known, text)), None)
    return plain(text) or None


def resolved(scenario: Scenario, values: Mapping[str, HasText]) -> Scenario:
    """The scenario with the document's values in the fields that refer to them; the unreadable stay open."""
    fields = dict(scenario.fields)
    for name, said in scenario.fields.items():
        if isinstance(said.value, Reference):
            bound = values.get(said.value.name)
            value = None if bound is None else read_field(name, bound.text)
            if value is None:
                del fields[name]
            else:
                fields[name] = replace(said, value=Fixed(value))
    return replace(scenario, fields=fields)


def _number(kind: Integer | Number, text: str) -> int | float | None:
    value = parse_value(text)
    if value is None or len(value.printed) != 1 or len(value.unit.readings) != 1:
        return None
    exact = value.printed[0] * value.unit.readings[0][1]
    if exact < kind.low or (kind.high is not None and exact > kind.high):
        return None
    if isinstance(kind, Number):
        return float(exact)
    return int(exact) if exact.denominator == 1 else None
