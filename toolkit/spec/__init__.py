"""What a person writes: specs, their scenarios and claims, loaded with the place of everything in them."""

from __future__ import annotations

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
