"""The keys that a spec states of fields and claims, each with its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from toolkit.finding import Place
from toolkit.frozen import frozen
from toolkit.spec.fields.value import Field
from toolkit.spec.quote import Quote
from toolkit.spec.written.claims import ClaimKeys
from toolkit.spec.written.scenarios import ScenarioFields, flat_fields
from toolkit.spec.yaml.node import Entries, Node, place_of, place_of_key

_OF_ITEM = frozenset(
    {
        "id",
        "quote",
        "quotes",
        "cell",
        "claims",
        "table",
        "rows",
        "columns",
        "cells",
        "row",
        "column",
        "skip",
        "with_",
    }
)
"""Keys that belong to one item alone; all others are defaults for the items inside."""


def stated_fields(
    fields: ScenarioFields, raw: Node | None, path: str, quotes: Mapping[str, Quote] | None = None
) -> dict[str, Field | None]:
    """The written fields by flat name, each with the place of its value and its quote."""
    quoted = quotes or {}
    stated: dict[str, Field | None] = {}
    for name, value in flat_fields(fields):
        if value is None:
            stated[name] = None
            continue
        quote = quoted.get(name) or quoted.get(name.partition(".")[0])
        stated[name] = Field(value, _place(raw, name, path), quote)
    return stated


def _place(raw: Node | None, name: str, path: str) -> Place:
    node, place = raw, Place(path)
    for part in name.split("."):
        if isinstance(node, Entries) and part in node:
            node = node[part]
            place = place_of(node, path)
    return place


@frozen
class Keys:
    """The keys of a claim from its group, table, row, column and itself, with their places; the innermost wins."""

    values: Mapping[str, Any] = field(default_factory=dict)
    places: Mapping[str, Place] = field(default_factory=dict)
    overrides: Mapping[str, Field | None] = field(default_factory=dict)

    def under(self, keys: ClaimKeys, raw: Node | None, path: str) -> Keys:
        """These keys, with those of an inner item over them."""
        values, places = dict(self.values), dict(self.places)
        for name in keys.model_fields_set:
            written = name.rstrip("_")
            if name not in _OF_ITEM:
                values[written] = getattr(keys, name)
            if isinstance(raw, Entries):
                places[written] = place_of_key(raw, written, path)
            elif raw is not None:
                places[written] = place_of(raw, path)
        overrides = self.overrides
        if keys.with_ is not None:
            inner = raw.get("with") if isinstance(raw, Entries) else None
            overrides = {**overrides, **stated_fields(keys.with_, inner, path)}
        return Keys(values, places, overrides)
