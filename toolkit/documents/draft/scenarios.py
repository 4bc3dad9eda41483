"""Groups stated fields into scenarios: one for each situation, with a readable name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from toolkit.documents.draft.drafted import DraftedField, DraftedScenario
from toolkit.documents.draft.passages import Level
from toolkit.documents.draft.stated import SETTINGS, Said, Stated
from toolkit.facts.models import load_model
from toolkit.facts.names import UnknownName
from toolkit.finding import Place
from toolkit.spec.check import scenario_findings
from toolkit.spec.fields.value import Choices, Field, Fixed, Range
from toolkit.spec.look_up import LookUp
from toolkit.spec.scenario import Scenario
from toolkit.spec.settings.profiles import open_fields

_PLACE: Final = Place("draft")
_FIELDS: Final[tuple[str, ...]] = (
    "model", "head", "method", "weights", "master_weights", "batch_size", "sequence_length", "gpu",
)  # fmt: skip
"""The fields of a drafted scenario, in the order of writing."""

OF_A_PART: Final[tuple[str, ...]] = ("gradients", "optimizer_states", "lora.dtype")
"""Fields of one part of the memory: what a claim about that part says for itself."""

_MOVES_PEAKS: Final = frozenset({*SETTINGS, "gpu"})
_MODEL_ALONE: Final = frozenset({"parameters"})
_HEADS: Final = {
    "ForSequenceClassification": "sequence-classification",
    "ForTokenClassification": "token-classification",
    "ForQuestionAnswering": "question-answering",
    "ForMaskedLM": "masked-lm",
}
"""Heads by the end of the name of a model's class, where it is no causal language model's."""

_LONGEST_NAME: Final = 56
_MOST_OPTIONS: Final = 6
ANY_METHOD: Final = "it is the same whatever is done with the model"
NO_TRAINING: Final = "the document speaks of no training"
PUBLISHED_HEAD: Final = "the head of its published files"
WHOLE: Final = "the only model that the document names"


@dataclass
class Scenarios:
    """The scenarios of one document, each made when a claim first needs it."""

    elsewhere: Mapping[str, str] = field(default_factory=dict)
    made: dict[str, DraftedScenario] = field(default_factory=dict)
    _by_key: dict[tuple[tuple[str, str], ...], str] = field(default_factory=dict)
    _look_up: LookUp = field(default_factory=lambda: LookUp(Path()))

    def of(self, fields: Mapping[str, DraftedField], said: Mapping[str, str]) -> str | None:
        """The name of the scenario with these fields; None where they contradict each other.

        `said` are their values as they are now, for those that are read from the document.
        """
        fields = {**fields, **_head(fields["model"].value)}
        known = {name: fields[name] for name in _FIELDS if name in fields}
        key = tuple((name, one.value) for name, one in known.items())
        if key not in self._by_key:
            scenario = _as_scenario(known, said)
            if scenario_findings(scenario, self._look_up, narrows=False):
                return None
            name = self._name(known, said)
            self._by_key[key] = name
            self.made[name] = DraftedScenario(name, known, self._open(scenario))
        return self._by_key[key]

    def _open(self, scenario: Scenario) -> dict[str, str]:
        """The fields that are left open, each with what is taken for it, and what the document names elsewhere."""
        model_type = self._look_up.model_type(scenario)
        typed = Scenario(scenario.name, scenario.place, scenario.fields, None, model_type)
        return {
            name: f"{_options(options)}{self.elsewhere.get(name, '')}" for name, options in open_fields(typed).items()
        }

    def merged(self, used: Iterable[str | None]) -> dict[str, str]:
        """For each scenario in use another that says the same and more, or itself; the rest is dropped."""
        renamed = {name: self._fuller(name) for name in used if name is not None}
        self.made = {name: one for name, one in self.made.items() if name in set(renamed.values())}
        return renamed

    def _fuller(self, name: str) -> str:
        """A scenario of one model whose method is any, told by the first of the same model and weights that has one."""
        fields = self.made[name].fields
        if fields["method"].why != ANY_METHOD:
            return name
        wanted = {key: one.value for key, one in fields.items() if key in {"model", "weights"}}
        for other, made in self.made.items():
            values = {key: one.value for key, one in made.fields.items()}
            plain = values["method"] in {"full", "inference"} and made.fields["method"].why != ANY_METHOD
            if plain and wanted.items() <= values.items() and not values.keys() & _MOVES_PEAKS:
                return other
        return name

    def _name(self, fields: Mapping[str, DraftedField], said: Mapping[str, str]) -> str:
        parts = [_short(fields["model"].value), fields["method"].value]
        if fields["method"].why == ANY_METHOD:
            parts.pop()
        parts += [fields[name].value for name in ("weights",) if name in fields and parts[-1] != "qlora"]
        parts += [f"batch-{said['batch_size']}"] if "batch_size" in fields else []
        parts += [f"length-{said['sequence_length']}"] if "sequence_length" in fields else []
        parts += [_short(fields["gpu"].value)] if "gpu" in fields else []
        name = re.sub(r"[^a-z0-9._-]+", "-", "-".join(parts).casefold()).strip("-._")[:_LONGEST_NAME] or "scenario"
        number, whole = 1, name
        while whole in self.made:
            number += 1
            whole = f"{name}-{number}"
        return whole


def fields_of(quantity: str, said: Stated) -> dict[str, Said]:
    """What of the stated fields a claim of a quantity is about."""
    names = {*_FIELDS, *OF_A_PART}
    if quantity in _MODEL_ALONE:
        names = {"model"}
    elif quantity == "weights":
        names -= {*_MOVES_PEAKS, *OF_A_PART}
        if said.value("weights") is not None:
            names -= {"method"} if said.value("method") in {None, "full", "inference"} else set()
    elif quantity not in {"peak_memory", "activations", "overhead", "kv_cache", "fits"}:
        names -= _MOVES_PEAKS
    if said.value("method") == "inference":
        names -= {*OF_A_PART, "master_weights"}
    return {name: one for name, one in said.fields.items() if name in names}


def _head(model: str) -> dict[str, DraftedField]:
    """The head with which a model is published, where it is no causal language model's."""
    facts = load_model(model)
    classes = () if isinstance(facts, UnknownName) else facts.config.get("architectures") or ()
    heads = [head for name in classes for end, head in _HEADS.items() if str(name).endswith(end)]
    return {"head": DraftedField(heads[0], None, PUBLISHED_HEAD)} if heads else {}


def reason_of(name: str, said: Said) -> str:
    """The reason for the value of a field that no line of the document states."""
    if said.level is not Level.WHOLE:
        return ""
    return NO_TRAINING if name == "method" else WHOLE


def _as_scenario(fields: Mapping[str, DraftedField], said: Mapping[str, str]) -> Scenario:
    stated = {}
    for name, one in fields.items():
        text = said.get(name, one.value)
        stated[name] = Field(Fixed(int(text) if name in SETTINGS else text), _PLACE)
    return Scenario("draft", _PLACE, stated)


def _options(options: object) -> str:
    if isinstance(options, Range):
        return f"{options.low:,} to {options.high:,}"
    values = options.values if isinstance(options, Choices) else options
    assert isinstance(values, tuple)
    shown = [_shown(value) for value in values[:_MOST_OPTIONS]]
    return " or ".join(shown)


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return ", ".join(value) if isinstance(value, tuple) else str(value)


def _short(name: str) -> str:
    return name.rpartition("/")[2]
