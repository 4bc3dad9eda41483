"""The situations of a spec, each made once, however many claims are about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

from toolkit.checks.situations.situation import Situation
from toolkit.checks.situations.space import Choice, SettingSpace
from toolkit.checks.traces import Traces
from toolkit.documents.bind import BoundValue
from toolkit.documents.read_field import resolved
from toolkit.facts.models import ModelFacts, model_of
from toolkit.memory.estimate import Estimate
from toolkit.spec.claim import Claim
from toolkit.spec.document_spec import Spec
from toolkit.spec.quote import Name, Operand
from toolkit.spec.scenario import Scenario
from toolkit.spec.settings.decide import deciding
from toolkit.spec.settings.profiles import open_fields, profile_of
from toolkit.spec.settings.setting import Setting


@dataclass(slots=True)
class Situations:
    """The situations of one spec, each made when a claim first needs it."""

    spec: Spec
    values: Mapping[str, BoundValue]
    traces: Traces | None = None
    _resolved: dict[tuple[str, str], Scenario] = field(default_factory=dict)
    _estimates: dict[tuple[str, str], dict[tuple[object, ...], Estimate]] = field(default_factory=dict)
    _made: dict[tuple[str, str], Situation | None] = field(default_factory=dict)

    def scenario(self, claim: Claim) -> Scenario | None:
        """The claim's scenario, with values read from the document filled in; None where it has none."""
        stated = self.spec.scenario_of(claim)
        if stated is None:
            return None
        key = (stated.name, repr(claim.overrides))
        if key not in self._resolved:
            self._resolved[key] = resolved(stated, self.values)
        return self._resolved[key]

    def situation(self, claim: Claim) -> Situation | None:
        """The situation of the claim; None without a scenario, or where its model is not known."""
        scenario = self.scenario(claim)
        if scenario is None:
            return None
        key = (scenario.name, repr(claim.overrides))
        if key not in self._made:
            apart_from_gpu = {name: said for name, said in claim.overrides.items() if name != "gpu"}
            shared = self._estimates.setdefault((scenario.name, repr(apart_from_gpu)), {})
            self._made[key] = situation_of(scenario, self.spec.path.parent, shared, self.traces)
        return self._made[key]

    def of_scenarios(self, names: Iterable[str]) -> dict[str, Situation | None]:
        """The situations of scenarios by name, without the overrides of any claim."""
        stated = {name: self.spec.scenarios[name] for name in names if name in self.spec.scenarios}
        return {
            name: situation_of(resolved(scenario, self.values), self.spec.path.parent)
            for name, scenario in stated.items()
        }

    def ends_of_change(self, claim: Claim) -> tuple[Situation | None, Situation | None]:
        """The situations between which a claim states a change; one without an end leads to the claim's own."""
        if claim.of is None:
            return None, None
        end = self.situation(claim) if claim.end is None else self._named(claim, claim.end)
        return self._named(claim, claim.start), end

    def _named(self, claim: Claim, named: Operand | None) -> Situation | None:
        if not isinstance(named, Name):
            return None
        return self.situation(replace(claim, scenario=named.text, overrides={}))


def situation_of(
    scenario: Scenario,
    base: Path,
    estimates: dict[tuple[object, ...], Estimate] | None = None,
    traces: Traces | None = None,
) -> Situation | None:
    """The situation of a resolved scenario; None where its model is not known.

    `estimates` are those made for the same scenario on other GPUs, `traces` the records beside the spec.
    """
    facts = model_of(scenario.model, base=base)
    if not isinstance(facts, ModelFacts):
        return None
    space = SettingSpace(open_fields(scenario), cast("Callable[[Choice], Setting]", deciding(scenario)))
    return Situation(
        scenario.name,
        profile_of(scenario).name,
        space,
        facts,
        traces,
        {} if estimates is None else estimates,
    )
