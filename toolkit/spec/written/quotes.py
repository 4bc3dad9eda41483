"""Quotes, tables, cells and names as a person writes them: readers that give each its place."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BaseModel, GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationInfo
from pydantic_core import CoreSchema, core_schema

from toolkit.frozen import frozen_by_identity
from toolkit.spec.fields.kind import see
from toolkit.spec.pattern import PatternError, count_slots
from toolkit.spec.quote import Cell, Name, Quote, TableRef
from toolkit.spec.written.scenarios import Written
from toolkit.spec.yaml.known import shown
from toolkit.spec.yaml.node import Node, Scalar, place_of
from toolkit.spec.yaml.refusal import refusal
from toolkit.spec.yaml.scalar import read_date, read_integer, read_text

IDENTIFIER = r"[A-Za-z_][A-Za-z0-9_]{0,63}"
SCENARIO_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
TEXT_SCHEMA = {"type": ["string", "number", "boolean"]}

_IDENTIFIER = re.compile(IDENTIFIER)
_SCENARIO = re.compile(SCENARIO_NAME)


@frozen_by_identity  # hashed by identity: pydantic puts it into sets
class Reads:
    """Marks a pydantic field as read by a function of the YAML node and the path of the file.

    `models` are what the function reads a mapping with, the most usual first.
    """

    read: Callable[[Any, str], Any]
    json_schema: dict[str, Any]
    models: tuple[type[BaseModel], ...] = ()

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        """The function alone, so that a message speaks of the field and not of a union."""
        read = self.read

        def call(raw: Any, info: ValidationInfo) -> Any:
            return read(raw, str(info.context))

        return core_schema.with_info_plain_validator_function(call)

    def __get_pydantic_json_schema__(self, _core: CoreSchema, _handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """What an editor accepts."""
        return dict(self.json_schema)


def _text(raw: Node, _path: str) -> str:
    return read_text(raw)


def _count(raw: Node, _path: str) -> int:
    return read_integer(raw, "a positive integer", 1, 10_000)


def _identifier(raw: Node, _path: str) -> str:
    return _matching(raw, _IDENTIFIER, "a name of letters, digits and _ that starts with a letter")


def _scenario_name(raw: Node, _path: str) -> str:
    return _matching(raw, _SCENARIO, "a name of letters, digits, '-', '_' and '.' that starts with a letter or digit")


def _matching(raw: Node, pattern: re.Pattern[str], wanted: str) -> str:
    name = read_text(raw, wanted)
    if not pattern.fullmatch(name):
        raise refusal("S104", f"{shown(name)} is not {wanted}")
    return name


Text = Annotated[str, Reads(_text, TEXT_SCHEMA)]
Count = Annotated[int, Reads(_count, {"type": "integer", "minimum": 1, "maximum": 10_000})]
Identifier = Annotated[str, Reads(_identifier, {"type": "string", "pattern": f"^{IDENTIFIER}$"})]
ScenarioName = Annotated[str, Reads(_scenario_name, {"type": ["string", "number"], "pattern": f"^{SCENARIO_NAME}$"})]
Date = Annotated[Any, Reads(lambda raw, _path: read_date(raw), {"type": "string", "format": "date"})]


def _pattern(raw: Node, path: str) -> Quote:
    """A quote that is text alone."""
    text = read_text(raw, "a quote")
    slots = count_slots(text)
    if isinstance(slots, PatternError):
        around = shown(text[max(0, slots.offset - 20) : slots.offset + 20]) if slots.offset else shown(text)
        raise refusal("S104", f'the quote {slots.message}, at "{around}"')
    return Quote(text, place_of(raw, path), has_slot=slots == 1)


Pattern = Annotated[Quote, Reads(_pattern, {**TEXT_SCHEMA, "minLength": 1})]


class QuoteFields(Written):
    """A quote with the heading whose section it is in."""

    quote: Pattern
    under: Text | None = None
    occurrence: Count | None = None


class TableFields(Written):
    """A table: the first, or `occurrence`-th, under a heading."""

    under: Text | None = None
    occurrence: Count | None = None


def _table(raw: Node, path: str) -> TableRef:
    place = place_of(raw, path)
    if isinstance(raw, Scalar):
        return TableRef(read_text(raw, "a heading"), None, place)
    fields = TableFields.model_validate(raw, context=path)
    return TableRef(fields.under, fields.occurrence, place)


_TABLE_SCHEMA = {"anyOf": [TEXT_SCHEMA, see("TableFields")]}
Table = Annotated[TableRef, Reads(_table, _TABLE_SCHEMA, (TableFields,))]


class CellFields(Written):
    """A cell of a table by its row (first cell) and column (header cell)."""

    table: Table
    row: Text
    column: Text
    quote: Pattern | None = None


def _read_cell(raw: Node, path: str) -> Cell:
    """A cell with its place."""
    fields = CellFields.model_validate(raw, context=path)
    return Cell(fields.table, fields.row, fields.column, place_of(raw, path), fields.quote)


class CellOperand(Written):
    """A cell where a quote could stand."""

    cell: Annotated[Cell, Reads(_read_cell, see("CellFields"), (CellFields,))]


def _source(raw: Node, path: str) -> Quote | Cell:
    """A quote or a cell."""
    if isinstance(raw, Scalar):
        return _pattern(raw, path)
    if isinstance(raw, dict) and "cell" in raw:
        return CellOperand.model_validate(raw, context=path).cell
    fields = QuoteFields.model_validate(raw, context=path)
    quote = fields.quote
    return Quote(quote.text, quote.place, fields.under, fields.occurrence, quote.has_slot)


def _valued(raw: Node, path: str) -> Quote | Cell:
    """A quote or a cell that points at a value."""
    source = _source(raw, path)
    if isinstance(source, Quote) and not source.has_slot:
        raise refusal("S104", f'the quote "{shown(source.text)}" has no slot', "write {} where the value stands")
    return source


def _operand(raw: Node, path: str) -> Quote | Cell | Name:
    """A quote or cell that points at a value, or a name."""
    if isinstance(raw, Scalar) and "{" not in raw:
        return Name(read_text(raw, "a name or a quote"), place_of(raw, path))
    return _valued(raw, path)


def _plain_quote(raw: Node, path: str) -> Quote:
    """A quote, with or without its heading."""
    source = _source(raw, path)
    if not isinstance(source, Quote):
        raise refusal("S104", "a cell of a table stands where a quote is asked for")
    return source


_QUOTE_SCHEMA = {"anyOf": [{**TEXT_SCHEMA, "minLength": 1}, see("QuoteFields")]}
_SOURCE_SCHEMA = {"anyOf": [*_QUOTE_SCHEMA["anyOf"], see("CellOperand")]}
CellSource = Annotated[Cell, Reads(_read_cell, see("CellFields"), (CellFields,))]
ValueSource = Annotated[Quote | Cell, Reads(_valued, _SOURCE_SCHEMA, (QuoteFields, CellOperand))]
OperandSource = Annotated[Quote | Cell | Name, Reads(_operand, _SOURCE_SCHEMA, (QuoteFields, CellOperand))]
FieldQuote = Annotated[Quote, Reads(_plain_quote, _QUOTE_SCHEMA, (QuoteFields,))]

DEFINED: tuple[type[BaseModel], ...] = (QuoteFields, TableFields, CellFields, CellOperand)
"""Models that the JSON Schema refers to by name."""
