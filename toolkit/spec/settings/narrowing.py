"""Lists and ranges of a spec: a quote says so, and they do not widen a profile."""

from __future__ import annotations

from toolkit.finding import Finding
from toolkit.spec.fields.value import Choices, Field, Range
from toolkit.spec.scenario import Scenario
from toolkit.spec.settings.profiles import Options, profile_of


def narrowing_findings(scenario: Scenario) -> list[Finding]:
    """Lists and ranges that no quote states, or that lie outside what the profile assumes."""
    found = []
    for name, said in scenario.fields.items():
        if isinstance(said.value, Choices | Range) and (finding := _finding(scenario, name, said)):
            found.append(finding)
    return found


def _finding(scenario: Scenario, name: str, said: Field) -> Finding | None:
    if said.quote is None:
        message = f"{name}: {_shown(said.value)} narrows what is open, and no quote says so"
        return Finding(said.place, "S110", message, f"add quotes: {{{name}: ...}} with the document's words")
    # A quote with a slot points at the values themselves: they are the document's own, wherever they lie.
    if said.quote.has_slot:
        return None
    profile = profile_of(scenario)
    assumed = next((each.options(scenario) for each in profile.assumptions if each.name == name), ())
    outside = _outside(said.value, assumed)
    if outside is None:
        return None
    message = f"{name}: {outside} lies outside the profile {profile.name}, which assumes {_described(assumed)}"
    repair = "point at the values with {} in the quote, or stay inside the profile"
    return Finding(said.place, "S110", message, repair)


def _outside(value: object, assumed: Options) -> str | None:
    """The part of a list or range that lies outside a profile; None where there is none."""
    if isinstance(value, Range):
        ends = [value.low, value.high]
        outside = [end for end in ends if not _inside(end, assumed)]
        inside_list = not isinstance(assumed, Range)
        return _shown(value) if outside or inside_list else None
    assert isinstance(value, Choices)
    outside_values = [each for each in value.values if not _inside(each, assumed)]
    return _named(outside_values[0]) if outside_values else None


def _inside(value: object, assumed: Options) -> bool:
    if isinstance(assumed, Range):
        return isinstance(value, int) and assumed.low <= value <= assumed.high
    return value in assumed


def _shown(value: object) -> str:
    if isinstance(value, Range):
        return f"{value.low} to {value.high}"
    return ", ".join(_named(each) for each in value.values) if isinstance(value, Choices) else str(value)


def _described(assumed: Options) -> str:
    if isinstance(assumed, Range):
        return f"{assumed.low} to {assumed.high}"
    return ", ".join(_named(each) for each in assumed) or "nothing of this field"


def _named(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"[{', '.join(value)}]" if isinstance(value, tuple) else str(value)
