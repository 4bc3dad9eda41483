"""Checks beyond pydantic: broken references, and scenarios that contradict themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from toolkit.finding import Finding, Place
from toolkit.frozen import frozen
from toolkit.spec.build_scenarios import unknown_scenario
from toolkit.spec.claim import Claim
from toolkit.spec.contradictions import contradictions
from toolkit.spec.fields.value import Field, Reference
from toolkit.spec.look_up import LookUp
from toolkit.spec.quote import Name
from toolkit.spec.scenario import Scenario
from toolkit.spec.settings.narrowing import narrowing_findings
from toolkit.spec.yaml.known import meant, shown
from toolkit.spec.yaml.prune import Broken

UNNAMED = "scenario"
"""The name of a scenario that comes from a file of its own or from a command line."""

NEEDED = ("model", "method")
"""Fields that every scenario needs."""


def scenario_findings(
    scenario: Scenario, look_up: LookUp, *, narrows: bool = True, whole: bool = True, complete: bool = True
) -> list[Finding]:
    """Everything that is wrong with one scenario by itself.

    `narrows` asks lists and ranges for their quotes. One that lost fields of its own is not `whole`, and one
    that lost any is not `complete`: what it lacks or contradicts is then no mistake of its own.
    """
    missing = [name for name in NEEDED if name not in scenario.fields]
    found = several(scenario)
    if complete:
        for name in missing:
            of = "the scenario" if scenario.name == UNNAMED else f"scenario {shown(scenario.name)}"
            message = f"{of} needs {name}"
            found.append(Finding(scenario.place, "S105", message, f"add {name}:"))
    if not missing and not found:
        found += contradictions(scenario) if whole else []
        found += narrowing_findings(scenario) if narrows else []
    return found + look_up.findings(scenario)


def several(scenario: Scenario) -> list[Finding]:
    """Reports a model or method with several values: a scenario has exactly one of each."""
    return [
        Finding(scenario.place_of(name), "S104", f"{name}: a scenario has one {name}, written out", repair)
        for name, repair in (("model", "name the model by its id"), ("method", "write a scenario for each"))
        if name in scenario.fields and scenario.fixed(name) is None
    ]


@frozen
class Checker:
    """Checks the references of one spec; references to what was removed as broken are not reported again."""

    scenarios: Mapping[str, Scenario]
    values: Iterable[str]
    broken: Broken
    look_up: LookUp

    def run(self, claims: Iterable[Claim]) -> list[Finding]:
        """Every finding about scenarios, claims, and what they refer to."""
        found: list[Finding] = []
        for name, scenario in self.scenarios.items():
            whole = name not in self.broken.scenarios
            found += scenario_findings(scenario, self.look_up, whole=whole, complete=whole and not self._lost_defaults)
            found += self._references(scenario.fields)
        for claim in claims:
            found += self._claim(claim)
        return list(dict.fromkeys(found))

    @property
    def _lost_defaults(self) -> bool:
        return "" in self.broken.scenarios

    def _claim(self, claim: Claim) -> list[Finding]:
        found: list[Finding] = []
        if claim.scenario is not None and claim.scenario not in self.scenarios:
            if claim.scenario not in self.broken.scenarios and "scenarios" not in self.broken.keys:
                found.append(unknown_scenario(claim.scenario, self.scenarios, claim.place_of("scenario")))
        elif claim.overrides:
            found += self._overrides(claim)
        for operand in (*claim.terms, claim.start, claim.end):
            if isinstance(operand, Name):
                found += self._name(operand, claim)
        return found

    def _overrides(self, claim: Claim) -> list[Finding]:
        """Reports mistakes in the scenario as one claim overrides it."""
        stated = {name: said for name, said in claim.overrides.items() if said is not None}
        found = self._references(stated)
        if claim.scenario is None:
            said = "with says fields of a scenario, and the claim has none"
            return [*found, Finding(claim.place_of("with"), "S113", said, "add scenario:")]
        if claim.scenario in self.broken.scenarios or self._lost_defaults:
            return found
        changed = self.scenarios[claim.scenario].with_fields(claim.overrides)
        places = {said.place for said in stated.values()}
        return found + [one for one in scenario_findings(changed, self.look_up) if one.place in places]

    def _references(self, fields: Mapping[str, Field]) -> list[Finding]:
        return [
            self._unknown_value(said.value.name, said.place)
            for said in fields.values()
            if isinstance(said.value, Reference) and not self._has_value(said.value.name)
        ]

    def _name(self, operand: Name, claim: Claim) -> list[Finding]:
        """A name where a figure could stand: of a value, or of a scenario if the claim says `of`."""
        if claim.of is not None:
            if operand.text in self.scenarios or operand.text in self.broken.scenarios:
                return []
            return [unknown_scenario(operand.text, self.scenarios, operand.place)]
        return [] if self._has_value(operand.text) else [self._unknown_value(operand.text, operand.place)]

    def _has_value(self, name: str) -> bool:
        return name in self.values or name in self.broken.values or "values" in self.broken.keys

    def _unknown_value(self, name: str, place: Place) -> Finding:
        known = list(self.values)
        guess = meant(name, known)
        listed = f"; known: {', '.join(known[:10])}" if known else "; the spec has none"
        repair = f"write {guess}" if guess else "add it to values:, or write a quote with {}"
        return Finding(place, "S108", f"no value is called {shown(name)}{listed}", repair)


def with_model_types(scenarios: Mapping[str, Scenario], look_up: LookUp) -> dict[str, Scenario]:
    """The scenarios, each with the type of its model."""
    return {name: with_model(scenario, look_up) for name, scenario in scenarios.items()}


def with_model(scenario: Scenario, look_up: LookUp) -> Scenario:
    """The scenario with the type and the storage from the config of its model."""
    return replace(scenario, model_type=look_up.model_type(scenario), stored=look_up.stored(scenario))
