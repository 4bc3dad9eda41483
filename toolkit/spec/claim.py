"""A claim: one statement of a document about one quantity, and where the document makes it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import field
from datetime import date
from typing import Any

from toolkit.finding import Place
from toolkit.frozen import frozen
from toolkit.spec.fields.value import Field
from toolkit.spec.quote import Cell, Operand, Quote, Source

ID_DIGITS = 6
LONG_ID_DIGITS = 12


@frozen
class Acknowledgement:
    """A known error, accepted with its reason until a day (that day included)."""

    reason: str
    place: Place
    until: date | None = None


@frozen
class Claim:
    """One claim, with all that its group, row and column say of it.

    `source` points into the document; `place` is where the spec points from. `overrides` are fields of the
    scenario for this claim only. `formula` is over the names in `where` and the values of the spec; `start`
    and `end` are the figures of a change (`from` and `to`), or, with `of`, scenarios. `subject` holds texts,
    lists and mappings of texts.
    """

    id: str
    quantity: str
    source: Source
    place: Place
    scenario: str | None = None
    overrides: Mapping[str, Field | None] = field(default_factory=dict)
    metric: str | None = None
    formula: str | None = None
    where: Mapping[str, Quote | Cell] = field(default_factory=dict)
    terms: tuple[Operand, ...] = ()
    start: Operand | None = None
    end: Operand | None = None
    of: str | None = None
    subject: Mapping[str, Any] = field(default_factory=dict)
    unchecked: str | None = None
    acknowledged: Acknowledgement | None = None
    places: Mapping[str, Place] = field(default_factory=dict)

    def place_of(self, key: str) -> Place:
        """Where a key of the claim ("scenario", "subject") stands in the spec, or else the claim."""
        return self.places.get(key, self.place)


def derived_id(slug: str, scenario: str | None, quantity: str, source: Source, digits: int = ID_DIGITS) -> str:
    """The id of a claim without one of its own; it does not change with other claims or with line numbers."""
    digest = hashlib.sha256("\x1f".join(_identity(source)).encode("utf-8", "replace")).hexdigest()
    return f"{slug}/{scenario or 'document'}/{quantity}/{digest[:digits]}"


def _identity(source: Source) -> tuple[str, ...]:
    """The parts of a source that identify its place: under, quote, row, column, occurrence."""
    if isinstance(source, Quote):
        return (source.under or "", source.text, "", "", str(source.occurrence or 1))
    table = source.table
    pattern = source.pattern.text if source.pattern else ""
    return (table.under or "", pattern, source.row, source.column, str(table.occurrence or 1))
