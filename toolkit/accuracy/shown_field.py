"""The value of a run's field, as it is shown."""

from __future__ import annotations

from toolkit.spec.fields.value import Choices, Fixed, Range
from toolkit.spec.published_lines import PublishedRun


def shown_field(run: PublishedRun, name: str) -> str:
    """The value of a run's field as the name of a group, or that the field is open."""
    said = run.scenario.fields.get(name)
    if said is None:
        return "not stated"
    value = said.value
    if isinstance(value, Fixed):
        return str(value.value)
    if isinstance(value, Range):
        return f"{value.low} to {value.high}"
    return " or ".join(map(str, value.values)) if isinstance(value, Choices) else "not stated"
