"""Looks up the models and GPUs of scenarios in the fact tables."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from toolkit.facts.gpus import find_gpu
from toolkit.facts.models import is_written_out, load_model
from toolkit.facts.names import UnknownName
from toolkit.finding import Finding
from toolkit.spec.scenario import Scenario
from toolkit.spec.settings.stored_form import quantized_from, stored_form
from toolkit.spec.yaml.known import shown

MAX_UNKNOWN = 50
"""The most unknown models and GPUs of a spec that are looked up: finding similar names takes milliseconds each."""


@dataclass(slots=True)
class LookUp:
    """Answers about the names of one spec; each name is looked up once.

    `base` is the folder of local configs. An answer is the model's type (empty for a GPU, or a config without
    one), or that nothing is called so.
    """

    base: Path
    answers: dict[tuple[str, str], str | UnknownName] = field(default_factory=dict)
    forms: dict[str, str] = field(default_factory=dict)
    unknown: int = 0
    told: bool = False

    def findings(self, scenario: Scenario) -> list[Finding]:
        """Unknown models and GPUs of a scenario."""
        found = []
        for kind in ("model", "gpu"):
            place = scenario.place_of(kind)
            for value in scenario.possible(kind):
                answer = self._answer(kind, value) if isinstance(value, str) else ""
                if isinstance(answer, UnknownName):
                    note = f": {answer.note}" if answer.note else ""
                    message = f"{kind}: {shown(answer.name)} is not known{note}"
                    found.append(Finding(place, "S107", message, _repair(kind, answer)))
                elif answer is None and not self.told:
                    self.told = True
                    message = f"more than {MAX_UNKNOWN} unknown models and GPUs: the rest was not looked up"
                    found.append(Finding(place, "S112", message))
        return found

    def model_type(self, scenario: Scenario) -> str | None:
        """The type of a scenario's model; None where it has no single known model."""
        model = scenario.fixed("model")
        answer = self._answer("model", model) if isinstance(model, str) else None
        return answer if isinstance(answer, str) and answer else None

    def stored(self, scenario: Scenario) -> str | None:
        """The form of weights that the checkpoint of a scenario's model is in; None where its config is silent."""
        model = scenario.fixed("model")
        if not isinstance(model, str) or isinstance(self._answer("model", model), UnknownName | None):
            return None
        return self.forms.get(model)

    def _answer(self, kind: str, name: str) -> str | UnknownName | None:
        """The answer about a name; None for one that was not looked up, after too many unknown ones."""
        if (kind, name) not in self.answers:
            if self.unknown >= MAX_UNKNOWN:
                return None
            answer = _find_gpu(name) if kind == "gpu" else self._model(name)
            self.answers[kind, name] = answer
            self.unknown += isinstance(answer, UnknownName)
        return self.answers[kind, name]

    def _model(self, name: str) -> str | UnknownName:
        if is_written_out(name):
            config, dtype = json.loads(name), None
        else:
            facts = load_model(name, base=self.base)
            if isinstance(facts, UnknownName):
                return facts
            config, dtype = facts.config, facts.checkpoint_dtype
        if form := stored_form(config, dtype):
            self.forms[name] = form
        kind = config.get("model_type")
        return kind if isinstance(kind, str) else ""


def _find_gpu(name: str) -> str | UnknownName:
    gpu = find_gpu(name)
    return gpu if isinstance(gpu, UnknownName) else ""


def _repair(kind: str, unknown: UnknownName) -> str | None:
    """The repair for an unknown name: a similar one, or how to add a model."""
    ways = [f"write {' or '.join(unknown.nearest)}"] if unknown.nearest else []
    if kind == "model":
        ways = [f"write {whole} with weights {form}" for whole, form in quantized_from(unknown.name)] or ways
        ways.append("make it known: `toolkit models add ORGANISATION/NAME`, or name the path of its config.json")
    return ", or ".join(ways) or None
