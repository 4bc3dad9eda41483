"""Specs as people write them: scenarios and claims, loaded with the place of everything in the file."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from toolkit.spec.claim import Acknowledgement, Claim
    from toolkit.spec.document_spec import Spec, Units
    from toolkit.spec.fields.registry import FIELDS, FieldSpec
    from toolkit.spec.fields.value import Choices, Field, Fixed, Range, Reference
    from toolkit.spec.load import load_scenario, load_spec, load_specs, scenario_from_flags
    from toolkit.spec.quote import Cell, Name, Quote, TableRef
    from toolkit.spec.scenario import Scenario
    from toolkit.spec.settings.decide import decide
    from toolkit.spec.settings.profiles import PROFILES, open_fields
    from toolkit.spec.settings.setting import Setting

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
    "Choices": "fields.value",
    "Claim": "claim",
    "FIELDS": "fields.registry",
    "Field": "fields.value",
    "FieldSpec": "fields.registry",
    "Fixed": "fields.value",
    "Name": "quote",
    "PROFILES": "settings.profiles",
    "Quote": "quote",
    "Range": "fields.value",
    "Reference": "fields.value",
    "Scenario": "scenario",
    "Setting": "settings.setting",
    "Spec": "document_spec",
    "TableRef": "quote",
    "Units": "document_spec",
    "decide": "settings.decide",
    "load_scenario": "load",
    "load_spec": "load",
    "load_specs": "load",
    "open_fields": "settings.profiles",
    "scenario_from_flags": "load",
}


def __getattr__(name: str) -> object:
    """Loads what is asked for: a setting can be run where pydantic and PyYAML are not installed."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
