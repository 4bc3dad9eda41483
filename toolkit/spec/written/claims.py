"""Claims as a person writes them: one by one, in groups, or as the cells of a table."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator
from pydantic import Field as Alias

from toolkit.spec.fields import names
from toolkit.spec.fields.kind import one_of, see
from toolkit.spec.written.quotes import (
    TEXT_SCHEMA,
    CellSource,
    Count,
    Date,
    FieldQuote,
    Identifier,
    OperandSource,
    Reads,
    ScenarioName,
    Table,
    Text,
    ValueSource,
)
from toolkit.spec.written.scenarios import ScenarioFields, Written
from toolkit.spec.yaml.known import shown
from toolkit.spec.yaml.node import Entries, Items, Node, Scalar
from toolkit.spec.yaml.refusal import refusal
from toolkit.spec.yaml.scalar import read_boolean, read_text

MAX_FORMULA = 500

_QUANTITY = one_of("a quantity", names.QUANTITIES)
_METRIC = one_of("a metric", names.METRICS)


def _formula(raw: Node, _path: str) -> str:
    formula = read_text(raw, "a formula")
    if len(formula) > MAX_FORMULA:
        raise refusal("S104", f"a formula of more than {MAX_FORMULA} characters: {shown(formula)}")
    return formula


def _subject(raw: Node, _path: str) -> dict[str, Any]:
    if not isinstance(raw, Entries):
        raise refusal("S104", "is a mapping of names to texts, as the quantity asks for")
    return {str(key): _texts(value) for key, value in raw.items()}


def _texts(raw: Node) -> Any:
    """Texts in lists and mappings: a version `5.10` stays `5.10`."""
    if isinstance(raw, Entries):
        return {str(key): _texts(value) for key, value in raw.items()}
    if isinstance(raw, Items):
        return tuple(_texts(item) for item in raw)
    return read_text(raw)


Quantity = Annotated[str, Reads(lambda raw, _path: _QUANTITY.read(raw), _QUANTITY.schema())]
Metric = Annotated[str, Reads(lambda raw, _path: _METRIC.read(raw), _METRIC.schema())]
Formula = Annotated[str, Reads(_formula, {**TEXT_SCHEMA, "minLength": 1, "maxLength": MAX_FORMULA})]
Subject = Annotated[dict[str, Any], Reads(_subject, {"type": "object"})]
Skip = Annotated[bool, Reads(lambda raw, _path: read_boolean(raw), {"type": "boolean"})]


class AcknowledgedFields(Written):
    """A known error, accepted with its reason until a day."""

    reason: Text
    until: Date | None = None


class ClaimKeys(Written):
    """What can be said of one claim, or of all claims of a group, a row or a column."""

    id: Annotated[Text | None, Alias(description="A name for the claim that stays when its quote changes.")] = None
    quantity: Annotated[Quantity | None, Alias(description="What is claimed.")] = None
    scenario: Annotated[ScenarioName | None, Alias(description="The scenario that the claim is about.")] = None
    quote: Annotated[
        FieldQuote | None,
        Alias(description="Verbatim text of the document; {} is the claimed value, {*} any text, {{ a brace."),
    ] = None
    quotes: Annotated[list[FieldQuote] | None, Alias(description="The same statement in several places.")] = None
    cell: Annotated[CellSource | None, Alias(description="The cell of a table that states the claim.")] = None
    under: Annotated[Text | None, Alias(description="The heading whose section the quote is in.")] = None
    occurrence: Annotated[Count | None, Alias(description="Which of several equal places, from 1.")] = None
    with_: Annotated[
        ScenarioFields | None, Alias(alias="with", description="Fields of the scenario for this claim only.")
    ] = None
    metric: Annotated[Metric | None, Alias(description="The memory that the quote itself speaks of.")] = None
    formula: Annotated[Formula | None, Alias(description="What the claimed value is worked out from.")] = None
    where: Annotated[
        dict[Identifier, ValueSource] | None, Alias(description="The figures of the formula, by name.")
    ] = None
    terms: Annotated[list[OperandSource] | None, Alias(description="The figures that a sum is made of.")] = None
    from_: Annotated[OperandSource | None, Alias(alias="from", description="The figure that a change starts from.")] = (
        None
    )
    to: Annotated[OperandSource | None, Alias(description="The figure that a change leads to.")] = None
    of: Annotated[Quantity | None, Alias(description="The quantity that changes between two scenarios.")] = None
    subject: Annotated[Subject | None, Alias(description="What the quantity asks for beside the scenario.")] = None
    unchecked: Annotated[Text | None, Alias(description="Why nothing can check this claim.")] = None
    acknowledged: Annotated[
        AcknowledgedFields | None, Alias(description="A known error, with the reason why it stays.")
    ] = None
    note: Annotated[Text | None, Alias(description="A remark for readers of the spec.")] = None


class CellKeys(ClaimKeys):
    """What one cell of a table claims beyond its row and column; `skip: true` where it claims nothing."""

    row: Text
    column: Text
    skip: Skip | None = None


def _shorthand(key: str) -> BeforeValidator:
    """A bare text as the value of one key; a list of labels as a mapping without keys."""

    def expand(raw: Any) -> Any:
        if isinstance(raw, Items):
            return _labels(raw)
        if not isinstance(raw, Entries):
            return raw
        expanded = _like(raw)
        for label, value in raw.items():
            expanded[label] = _single(key, value) if isinstance(value, Scalar) else value
        return expanded

    return BeforeValidator(expand)


def _labels(raw: Items) -> Entries:
    entries = Entries()
    entries.line, entries.column = raw.line, raw.column
    for item in raw:
        label = read_text(item, "a label of the table") if isinstance(item, Scalar) else None
        if label is None or not isinstance(item, Scalar):
            raise refusal("S104", "is a list of labels, or a mapping of labels to what is claimed")
        if label in entries:
            raise refusal("S102", f"{shown(label)} is listed twice")
        entries[label] = _like(item)
        entries.keys_at[label] = item
    return entries


def _like(node: Node) -> Entries:
    entries = Entries()
    entries.line, entries.column = node.line, node.column
    if isinstance(node, Entries):
        entries.keys_at = node.keys_at
    return entries


def _single(key: str, value: Scalar) -> Entries:
    entries = _like(value)
    entries[key] = value
    entries.keys_at[key] = value
    return entries


_LABELLED = {
    "type": "object",
    "additionalProperties": {"anyOf": [TEXT_SCHEMA, see("ClaimKeys")]},
}
_AXIS = {"anyOf": [{"type": "array", "items": TEXT_SCHEMA, "minItems": 1}, {**_LABELLED, "minProperties": 1}]}


class ClaimItem(ClaimKeys):
    """An item of `claims`: a claim, a group of claims that share keys, or a table whose cells are claims."""

    claims: Annotated[list[ClaimItem] | None, Alias(description="The claims of a group.")] = None
    table: Annotated[Table | None, Alias(description="A table, by the heading that it stands under.")] = None
    rows: Annotated[
        dict[str, ClaimKeys] | None,
        _shorthand("scenario"),
        Alias(description="Row labels, each with what its cells claim; a bare text is the scenario."),
    ] = None
    columns: Annotated[
        dict[str, ClaimKeys] | None,
        _shorthand("quantity"),
        Alias(description="Column labels, each with what its cells claim; a bare text is the quantity."),
    ] = None
    cells: Annotated[list[CellKeys] | None, Alias(description="What is said of single cells.")] = None


AXIS_SCHEMA = _AXIS
"""The JSON Schema of `rows` and `columns`: as a person writes them, before shorthand is expanded."""
