"""Looks up the models and GPUs of scenarios in the fact tables."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from toolkit.facts.gpus import find_gpu
from toolkit.facts.models import load_model
from toolkit.facts.names import UnknownName
from toolkit.finding import Finding
from toolkit.spec.known import shown
from toolkit.spec.scenario import Scenario


@dataclass(slots=True)
class LookUp:
    """Answers about the names of one spec; each name is looked up once.

    `base` is the folder of local configs.
    """

    base: Path
    models: dict[str, str | UnknownName] = field(default_factory=dict)
    gpus: dict[str, UnknownName | None] = field(default_factory=dict)

    def findings(self, scenario: Scenario) -> list[Finding]:
        """Unknown models and GPUs of a scenario."""
        found = []
        for name in ("model", "gpu"):
            for value in scenario.possible(name):
                if isinstance(value, str) and (unknown := self._unknown(name, value)):
                    message = (
                        f"{name}: {shown(value)} is not known{f': {unknown.note}' if unknown.note else ''}"
                    )
                    repair = f"write {' or '.join(unknown.nearest)}" if unknown.nearest else None
                    found.append(Finding(scenario.place_of(name), "S107", message, repair))
        return found

    def model_type(self, scenario: Scenario) -> str | None:
        """The type of a scenario's model; None where it has no single known model."""
        model = scenario.fixed("model")
        answer = self._model(model) if isinstance(model, str) else None
        return answer if isinstance(answer, str) and answer else None

    def _unknown(self, name: str, value: str) -> UnknownName | None:
        if name == "model":
            answer = self._model(value)
            return answer if isinstance(answer, UnknownName) else None
        if value not in self.gpus:
            gpu = find_gpu(value)
            self.gpus[value] = gpu if isinstance(gpu, UnknownName) else None
        return self.gpus[value]

    def _model(self, name: str) -> str | UnknownName:
        """The model's type (empty where its config has none), or that no model is called so."""
        if name not in self.models:
            if name.startswith("{"):
                config = json.loads(name)
            else:
                facts = load_model(name, base=self.base)
                if isinstance(facts, UnknownName):
                    self.models[name] = facts
                    return facts
                config = facts.config
            kind = config.get("model_type")
            self.models[name] = kind if isinstance(kind, str) else ""
        return self.models[name]
