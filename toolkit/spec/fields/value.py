"""What a scenario says of one field: a value, a choice of values, a range, or that the document states it."""

from __future__ import annotations

from toolkit.finding import Place
from toolkit.frozen import frozen
from toolkit.spec.quote import Quote

Atom = str | int | float | bool | tuple[str, ...] | None
"""A decided value of a field. A tuple is LoRA's list of module names."""


@frozen
class Fixed:
    """The field has this value."""

    value: Atom


@frozen
class Choices:
    """The field has one of these values."""

    values: tuple[Atom, ...]


@frozen
class Range:
    """The field is a whole number from `low` to `high`, both included."""

    low: int
    high: int


@frozen
class Reference:
    """The field is the document's value of that name."""

    name: str


FieldValue = Fixed | Choices | Range | Reference


@frozen
class Field:
    """One field of a scenario as written, with its place in the spec and the quote that says so.

    `origin` tells what a scenario says itself ("own") from what it takes over ("inherited").
    """

    value: FieldValue
    place: Place
    quote: Quote | None = None
    origin: str = "own"
