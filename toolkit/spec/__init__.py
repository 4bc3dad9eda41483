"""What a person writes: specs, their scenarios and claims, loaded with the place of everything in them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from toolkit.spec.claim import Acknowledgement, Claim
    from toolkit.spec.document_spec import Spec, Units
    from toolkit.spec.field_value import Choices, Field, Fixed, Range, Reference
    from toolkit.spec.fields import FIELDS, FieldSpec
    from toolkit.spec.load import load_scenario, load_spec, load_specs, scenario_from_flags
    from toolkit.spec.profiles import PROFILES, open_fields
    from toolkit.spec.quote import Cell, Name, Quote, TableRef
    from toolkit.spec.scenario import Scenario
    from toolkit.spec.setting import Setting
    from toolkit.spec.settings import decide

__all__ = [
    "FIELDS",
    "PROFILES",
    "Acknowledgement",
    "Cell",
    "Choices",
    "Claim",
    "Field",
    "FieldSpec",
    "Fixed",
    "Name",
    "Quote",
    "Range",
    "Reference",
    "Scenario",
    "Setting",
    "Spec",
    "TableRef",
    "Units",
    "decide",
    "load_scenario",
    "load_spec",
    "load_specs",
    "open_fields",
    "scenario_from_flags",
]

_MODULES = {
    "Acknowledgement": "claim",
    "Cell": "quote",
    "Choices": "field_value",
    "Claim": "claim",
    "FIELDS": "fields",
    "Field": "field_value",
    "FieldSpec": "fields",
    "Fixed": "field_value",
    "Name": "quote",
    "PROFILES": "profiles",
    "Quote": "quote",
    "Range": "field_value",
    "Reference": "field_value",
    "Scenario": "scenario",
    "Setting": "setting",
    "Spec": "document_spec",
    "TableRef": "quote",
    "Units": "document_spec",
    "decide": "settings",
    "load_scenario": "load",
    "load_spec": "load",
    "load_specs": "load",
    "open_fields": "profiles",
    "scenario_from_flags": "load",
}


def __getattr__(name: str) -> object:
    """Loads what is asked for: a setting can be run where pydantic and PyYAML are not installed."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
