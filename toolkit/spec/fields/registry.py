"""The fields of a scenario: what each means, what it may be, and what it moves."""

from __future__ import annotations

from toolkit.spec.fields.field import FieldSpec
from toolkit.spec.fields.table import all_fields

__all__ = ["FIELDS", "GROUPS", "FieldSpec"]

FIELDS: dict[str, FieldSpec] = {field.name: field for field in all_fields()}
"""Every field by its name; fields of groups by dotted names, as "lora.rank"."""

GROUPS = ("lora", "peft", "galore", "validation", "kernels", "cache", "parallel", "stack", "engine", "run")
"""The names of the groups of fields."""
