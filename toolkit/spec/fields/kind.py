"""The kinds of values that a scenario field can have: how each is read, and what its JSON Schema is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from toolkit.frozen import frozen
from toolkit.spec.fields.value import Atom
from toolkit.spec.yaml.known import unknown
from toolkit.spec.yaml.node import Node
from toolkit.spec.yaml.refusal import refusal
from toolkit.spec.yaml.scalar import is_null, read_boolean, read_integer, read_number, read_text

Schema = dict[str, Any]

SEE = "$see"
"""Marks a reference to a definition in a part of the JSON Schema, until the whole is assembled."""


def see(name: str) -> Schema:
    """A reference to the definition of that name."""
    return {SEE: name}


class Kind(Protocol):
    """A kind of value: its name in messages, its reader, and its JSON Schema."""

    @property
    def wanted(self) -> str:
        """The expected value, for messages: "a positive integer"."""

    def read(self, raw: Node) -> Atom:
        """Reads the value; raises a refusal where it is not of this kind."""

    def schema(self) -> Schema:
        """The JSON Schema of such a value."""


@frozen
class Integer:
    """A whole number from `low` to `high`."""

    wanted: str
    low: int
    high: int | None = None

    def read(self, raw: Node) -> int:
        """The number."""
        return read_integer(raw, self.wanted, self.low, self.high)

    def schema(self) -> Schema:
        """An integer within the bounds."""
        bounds = {"minimum": self.low} if self.high is None else {"minimum": self.low, "maximum": self.high}
        return {"type": "integer", **bounds}


@frozen
class Number:
    """A number from `low` to `high`."""

    wanted: str
    low: float
    high: float

    def read(self, raw: Node) -> float:
        """The number."""
        return read_number(raw, self.wanted, self.low, self.high)

    def schema(self) -> Schema:
        """A number within the bounds."""
        return {"type": "number", "minimum": self.low, "maximum": self.high}


@frozen
class Boolean:
    """`true` or `false`."""

    wanted: str = "true or false"

    def read(self, raw: Node) -> bool:
        """The truth value."""
        return read_boolean(raw)

    def schema(self) -> Schema:
        """A boolean."""
        return {"type": "boolean"}


@frozen
class OneOf:
    """A name out of a known list; `nullable` ones may be `null`, which leaves the decision to the stack."""

    wanted: str
    names: tuple[str, ...]
    nullable: bool = False
    meanings: tuple[str, ...] = ()

    def read(self, raw: Node) -> str | None:
        """The name."""
        if self.nullable and is_null(raw):
            return None
        name = read_text(raw, self.wanted)
        if name not in self.names:
            raise refusal("S107", *unknown(self.wanted, name, self.names))
        return name

    def schema(self) -> Schema:
        """The names, with what each means where editors show it."""
        schema: Schema = {"enum": [*self.names, None] if self.nullable else list(self.names)}
        return {**schema, "enumDescriptions": list(self.meanings)} if self.meanings else schema


def one_of(wanted: str, names: Mapping[str, str], *, nullable: bool = False) -> OneOf:
    """A name out of a known list, which says what each means."""
    meanings = (*names.values(), "what the stack decides") if nullable else tuple(names.values())
    return OneOf(wanted, tuple(names), nullable, meanings)
