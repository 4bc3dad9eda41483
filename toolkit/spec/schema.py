"""The JSON Schema of a spec, for editors: completion, descriptions, and mistakes underlined while typing.

It follows from the pydantic models, and accepts what the loader accepts. A copy is committed beside this
file, which every spec names in its first line.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from toolkit.spec.fields.kind import SEE
from toolkit.spec.fields.registry import FIELDS, GROUPS
from toolkit.spec.written.claims import AXIS_SCHEMA
from toolkit.spec.written.open_value import RANGE_SCHEMA, REFERENCE_SCHEMA, open_schema
from toolkit.spec.written.quotes import DEFINED
from toolkit.spec.written.spec import ScenarioFile, SpecFields

COMMITTED = Path(__file__).with_name("spec.schema.json")
DIALECT = "https://json-schema.org/draft/2020-12/schema"

_SELDOM = frozenset({"title", "default"})
_REQUIRED = {"SpecFields": ("document",), "ScenarioFile": ("model", "method")}
_EITHER = {"SpecFields": ("claims", "marks")}


def schema() -> dict[str, Any]:
    """The JSON Schema of claims.yaml."""
    return {"$schema": DIALECT, "title": "Spec of a document", **_schema_of(SpecFields)}


def scenario_schema() -> dict[str, Any]:
    """The JSON Schema of a file that holds one scenario."""
    return {"$schema": DIALECT, "title": "Scenario", **_schema_of(ScenarioFile)}


def schema_text() -> str:
    """The schema as it is committed."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def _schema_of(model: type[BaseModel]) -> dict[str, Any]:
    definitions: dict[str, Any] = {name: open_schema(name) for name in FIELDS}
    definitions |= {"Range": RANGE_SCHEMA, "Reference": REFERENCE_SCHEMA}
    for defined in (model, *DEFINED):
        part = defined.model_json_schema()
        definitions |= part.pop("$defs", {})
        definitions[defined.__name__] = part
    tidied = {name: _tidy(_linked(part)) for name, part in definitions.items()}
    root = tidied.pop(model.__name__)
    root["required"] = list(_REQUIRED[model.__name__])
    if model.__name__ in _EITHER:
        root["anyOf"] = [{"required": [name]} for name in _EITHER[model.__name__]]
    return {**root, "$defs": _used(root, tidied)}


def _linked(part: Any) -> Any:
    """A part whose references point into the whole."""
    if isinstance(part, list):
        return [_linked(item) for item in part]
    if not isinstance(part, dict):
        return part
    if SEE in part:
        return {"$ref": f"#/$defs/{part[SEE]}"}
    return {key: _linked(value) for key, value in part.items()}


def _tidy(part: dict[str, Any]) -> dict[str, Any]:
    """An object's schema without pydantic's titles and defaults, and without null for a field left out."""
    kept = {key: value for key, value in part.items() if key not in _SELDOM}
    properties = kept.get("properties")
    if isinstance(properties, dict):
        kept["properties"] = {name: _property(name, value) for name, value in properties.items()}
    return kept


def _property(name: str, value: dict[str, Any]) -> dict[str, Any]:
    if name in ("rows", "columns"):
        return {"description": value["description"], **_linked(AXIS_SCHEMA)}
    kept = {key: inner for key, inner in value.items() if key not in _SELDOM}
    if "patternProperties" in kept:
        kept["additionalProperties"] = False  # a name of another form is a mistake
    options = kept.get("anyOf")
    if name in GROUPS or not isinstance(options, list) or {"type": "null"} not in options:
        return kept
    rest = [option for option in options if option != {"type": "null"}]
    del kept["anyOf"]
    return _property(name, {**kept, **rest[0]}) if len(rest) == 1 else {**kept, "anyOf": rest}


def _used(root: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """The definitions that the schema refers to, directly or through others."""
    needed: dict[str, Any] = {}
    waiting = [root]
    while waiting:
        text = json.dumps(waiting.pop())
        for name, part in definitions.items():
            if name not in needed and f'"#/$defs/{name}"' in text:
                needed[name] = part
                waiting.append(part)
    return dict(sorted(needed.items()))
