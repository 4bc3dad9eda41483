"""A scenario: the fields that a document states of one situation, each with its place and quote."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace

from toolkit.finding import Place
from toolkit.frozen import frozen
from toolkit.spec.fields.names import DEEPSPEED, DOUBLE_QUANTIZED, GROUPED, LORA, PROJECTED, SHARDS_WEIGHTS
from toolkit.spec.fields.objective import GRPO, PREFERENCES
from toolkit.spec.fields.peft_methods import PEFT_METHODS
from toolkit.spec.fields.process import IN_CONTEXT
from toolkit.spec.fields.registry import FIELDS, GROUPS
from toolkit.spec.fields.value import Atom, Choices, Field, Fixed, Reference


@frozen
class Scenario:
    """A situation. `fields` are those that are stated, by flat name ("lora.rank"); all others are open.

    `model_type` is that of the model's config, where the model is known; `stored` the form of weights that its
    checkpoint is in, where the config says it.
    """

    name: str
    place: Place
    fields: Mapping[str, Field] = field(default_factory=dict)
    title: str | None = None
    model_type: str | None = None
    stored: str | None = None

    def place_of(self, name: str) -> Place:
        """The place of a field in the spec; that of the scenario for a field that it does not state."""
        said = self.fields.get(name)
        return said.place if said else self.place

    def fixed(self, name: str) -> Atom:
        """The one value of a field; None where it is open, has several, or is `null`."""
        said = self.fields.get(name)
        return said.value.value if said and isinstance(said.value, Fixed) else None

    def possible(self, name: str) -> tuple[Atom, ...]:
        """The values stated for a field; none where it is open, a range, or still in the document."""
        said = self.fields.get(name)
        if said is None:
            return ()
        if isinstance(said.value, Choices):
            return said.value.values
        return (said.value.value,) if isinstance(said.value, Fixed) else ()

    @property
    def model(self) -> str:
        """The model as written. A scenario without one never leaves the loader."""
        return str(self.fixed("model"))

    @property
    def method(self) -> str:
        """The method."""
        return str(self.fixed("method"))

    @property
    def trains(self) -> bool:
        """Whether gradients are computed."""
        return self.method != "inference"

    @property
    def task(self) -> str:
        """The task whose profile fills the open fields: "train" or "inference"."""
        return "train" if self.trains else "inference"

    @property
    def unresolved(self) -> tuple[str, ...]:
        """The fields whose values are still to be read from the document."""
        return tuple(name for name, said in self.fields.items() if isinstance(said.value, Reference))

    def with_fields(self, fields: Mapping[str, Field | None]) -> Scenario:
        """The scenario with some fields said anew; None forgets a field, or all fields of a group.

        Its own fields are taken over: those that no longer apply are left out.
        """
        if not fields:
            return self
        inherited = {name: replace(said, origin="inherited") for name, said in self.fields.items()}
        return replace(self, fields=applying(merged(inherited, fields)))


def merged(base: Mapping[str, Field], own: Mapping[str, Field | None]) -> dict[str, Field]:
    """Fields over inherited ones; None removes a field, or all fields of a group.

    Adapters that are trained are not those that a model answers with: these a scenario says itself.
    """
    result = dict(base)
    if _answers(own) and not _answers(base) and not any(_is_of_adapters(name) for name in own):
        result = {name: said for name, said in base.items() if not _is_of_adapters(name)}
    for name, said in own.items():
        if name in GROUPS:
            for inner in [inner for inner in result if inner.startswith(f"{name}.")]:
                del result[inner]
        elif said is None:
            result.pop(name, None)
    result.update({name: said for name, said in own.items() if said is not None})
    return result


def _answers(fields: Mapping[str, Field | None]) -> bool:
    said = fields.get("method")
    return said is not None and isinstance(said.value, Fixed) and said.value.value == "inference"


def _is_of_adapters(name: str) -> bool:
    return name == "lora" or name.startswith("lora.")


def applying(fields: Mapping[str, Field]) -> dict[str, Field]:
    """The fields without inherited ones that do not apply to such a scenario."""
    return {name: said for name, said in fields.items() if said.origin == "own" or applies(name, fields)}


SUBJECTS = {
    "4-bit": "weights",
    "groups": "weights",
    "galore": "optimizer",
    "vllm": "stack.trainer",
    "autoawq": "stack.trainer",
    "deepspeed": "parallel.strategy",
    "zero3": "parallel.strategy",
    "fsdp": "parallel.strategy",
    "fsdp or fsdp2": "parallel.strategy",
    "shards": "parallel.strategy",
    "pipeline": "parallel.strategy",
    "static cache": "cache.implementation",
    "quantized cache": "cache.implementation",
    "preferences": "objective",
    "answers": "objective",
    "device context": "loading",
}
"""The field that decides whether another applies; for fields that are not here it is the method."""

_ONLY_WHERE_SAID = (
    "galore", "vllm", "autoawq", "deepspeed", "zero3", "fsdp", "fsdp or fsdp2", "shards", "pipeline", "static cache",
    "quantized cache", "preferences", "answers", "device context",
)  # fmt: skip


def applies(name: str, fields: Mapping[str, Field]) -> bool:
    """Whether a field applies to a scenario with these fields; where the method is open, every field does."""
    rule = FIELDS[name].applies
    if rule == "always":
        return True
    subject = SUBJECTS.get(rule, "method")
    said = fields.get(subject)
    values: tuple[Atom, ...] = ()
    if said is not None and isinstance(said.value, Fixed):
        values = (said.value.value,)
    elif said is not None and isinstance(said.value, Choices):
        values = said.value.values
    elif rule in _ONLY_WHERE_SAID:
        return False
    return not values or any(_belongs(rule, value) for value in values)


def _belongs(rule: str, value: Atom) -> bool:
    return {
        "training": value != "inference",
        "inference": value == "inference",
        "adapters": value in (*LORA, "inference"),
        "peft": value in PEFT_METHODS,
        "galore": value in PROJECTED,
        "4-bit": value in DOUBLE_QUANTIZED,
        "groups": value in GROUPED,
        "vllm": value == "vllm",
        "autoawq": value == "autoawq",
        "deepspeed": value in DEEPSPEED,
        "zero3": value == "zero3",
        "fsdp": value == "fsdp",
        "fsdp or fsdp2": value in ("fsdp", "fsdp2"),
        "shards": value in SHARDS_WEIGHTS,
        "pipeline": value == "pipeline",
        "static cache": value == "static",
        "quantized cache": value == "quantized",
        "preferences": value in PREFERENCES,
        "answers": value == GRPO,
        "device context": value == IN_CONTEXT,
    }[rule]
