"""A field of a scenario as a person writes it: a value, a list of values, {from, to}, or "{name}"."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError, core_schema

from toolkit.frozen import frozen
from toolkit.spec.fields.kind import Integer, Kind, see
from toolkit.spec.fields.named_kind import Targets
from toolkit.spec.fields.registry import FIELDS
from toolkit.spec.fields.value import Atom, Choices, FieldValue, Fixed, Range, Reference
from toolkit.spec.yaml.compose import compose
from toolkit.spec.yaml.node import Entries, Items, Node, Scalar
from toolkit.spec.yaml.refusal import refusal
from toolkit.spec.yaml.scalar import plain_data

MAX_CHOICES = 64

_REFERENCE = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")

REFERENCE_SCHEMA = {
    "description": "The document's value of that name, under `values`.",
    "type": "string",
    "pattern": f"^{_REFERENCE.pattern}$",
}
RANGE_SCHEMA = {
    "description": "Whole numbers, both ends included.",
    "type": "object",
    "properties": {"from": {"type": "integer"}, "to": {"type": "integer"}},
    "required": ["from", "to"],
    "additionalProperties": False,
}


@frozen
class Open:
    """Marks a pydantic field as a field of a scenario, read by the rules of its kind."""

    name: str

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        """Everything is read by one function, so that a message speaks of the field and not of a union."""
        return core_schema.no_info_plain_validator_function(_reader(FIELDS[self.name].kind))

    def __get_pydantic_json_schema__(self, _core: CoreSchema, _handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """The value, a list of values, a range for whole numbers, or a reference: a definition of its own."""
        return see(self.name)


def _reader(kind: Kind) -> Callable[[Any], FieldValue]:
    def read(raw: Any) -> FieldValue:
        return read_open(kind, raw)

    return read


def read_open(kind: Kind, raw: Node) -> FieldValue:
    """What is written for a field; pydantic errors say what is wrong with it."""
    if isinstance(raw, Scalar):
        reference = _REFERENCE.fullmatch(raw)
        return Reference(reference[1]) if reference else Fixed(kind.read(raw))
    if isinstance(raw, Items) and not (isinstance(kind, Targets) and _is_one_list(raw)):
        return _choices(kind, raw)
    if isinstance(raw, Entries) and ("from" in raw or "to" in raw) and "model_type" not in raw:
        return _range(kind, raw)
    if isinstance(raw, Entries) and len(raw) == 1 and not next(iter(raw.values())):
        name = next(iter(raw))
        raise refusal("S104", "a mapping stands where a value is asked for", f'write "{{{name}}}" in quotes')
    return Fixed(kind.read(raw))


def _is_one_list(raw: Items) -> bool:
    """Whether a list for LoRA's targets is a value: it lists module names, and no lists of them."""
    return not any(isinstance(item, Items) for item in raw) and not any(item == "all-linear" for item in raw[:1])


def _choices(kind: Kind, raw: Items) -> Choices:
    if not 0 < len(raw) <= MAX_CHOICES:
        raise refusal("S104", f"{len(raw)} values are not a list of 1 to {MAX_CHOICES} values")
    values: list[Atom] = []
    errors: list[InitErrorDetails] = []
    for index, item in enumerate(raw):
        try:
            value = kind.read(item)
            if value in values:
                raise refusal("S104", f"{item} is listed twice")
            values.append(value)
        except PydanticCustomError as error:
            errors.append({"type": error, "loc": (index,), "input": str(item)})
    if errors:
        raise ValidationError.from_exception_data("choices", errors)
    return Choices(tuple(values))


def _range(kind: Kind, raw: Entries) -> Range:
    if not isinstance(kind, Integer):
        raise refusal("S104", f"a range is for whole numbers; {kind.wanted} is asked for", "list the values in [ ]")
    errors: list[InitErrorDetails] = []
    ends: dict[str, int] = {}
    for key in raw:
        if key not in ("from", "to"):
            errors.append({"type": "extra_forbidden", "loc": (key,), "input": key})
    for key in ("from", "to"):
        try:
            if key in raw:
                ends[key] = kind.read(raw[key])
            else:
                errors.append({"type": "missing", "loc": (key,), "input": key})
        except PydanticCustomError as error:
            errors.append({"type": error, "loc": (key,), "input": key})
    if not errors and ends["from"] > ends["to"]:
        backwards = refusal("S104", f"the range runs backwards, from {ends['from']} to {ends['to']}")
        errors.append({"type": backwards, "loc": ("to",), "input": "to"})
    if errors:
        raise ValidationError.from_exception_data("range", errors)
    return Range(ends["from"], ends["to"])


def open_schema(name: str) -> dict[str, Any]:
    """The JSON Schema of a field of a scenario."""
    spec = FIELDS[name]
    value = spec.kind.schema()
    forms = [
        value,
        {"type": "array", "items": value, "minItems": 1, "maxItems": MAX_CHOICES, "uniqueItems": True},
        see("Reference"),
    ]
    if isinstance(spec.kind, Integer):
        forms.insert(2, see("Range"))
    return {"description": spec.doc, "examples": [example(text) for text in spec.examples], "anyOf": forms}


def example(text: str) -> Any:
    """An example of the field table as the data that it is."""
    node, _ = compose(text, "")
    return None if node is None else plain_data(node)
