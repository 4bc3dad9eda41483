"""A spec as a person writes it: one document, its scenarios and its claims."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Annotated

from pydantic import Field as Alias

from toolkit.spec.fields import names
from toolkit.spec.fields.kind import one_of
from toolkit.spec.fields.registry import FIELDS, GROUPS
from toolkit.spec.written.claims import ClaimItem, Skip
from toolkit.spec.written.quotes import FieldQuote, Identifier, Reads, ScenarioName, Text, ValueSource
from toolkit.spec.written.scenarios import ScenarioFields, Written
from toolkit.spec.yaml.known import meant, shown
from toolkit.spec.yaml.node import Node
from toolkit.spec.yaml.refusal import refusal
from toolkit.spec.yaml.scalar import read_text

_READING = one_of("a reading of GB", names.GB_READINGS)


def _document_path(raw: Node, _path: str) -> str:
    written = read_text(raw, "the path of a Markdown file")
    windows = "\\" in written or written[1:2] == ":"
    if windows or PurePosixPath(written).is_absolute() or "\0" in written or written.startswith("~"):
        raise refusal("S109", f"{shown(written)} is not a relative path", "write the path from this file, with /")
    return written


def _field_name(raw: Node, _path: str) -> str:
    name = read_text(raw, "a field of a scenario")
    if name not in FIELDS and name not in GROUPS:
        guess = meant(name, FIELDS)
        raise refusal("S103", f"{shown(name)} is no field of a scenario", f"write {guess}" if guess else None)
    return name


DocumentPath = Annotated[str, Reads(_document_path, {"type": "string", "minLength": 1, "pattern": "^[^/~\\\\]"})]
_FIELD_NAMES = "|".join(re.escape(name) for name in (*FIELDS, *GROUPS))
FieldName = Annotated[str, Reads(_field_name, {"pattern": f"^({_FIELD_NAMES})$"})]
Reading = Annotated[str, Reads(lambda raw, _path: _READING.read(raw), _READING.schema())]


class SourceFields(Written):
    """Where the figures of the document come from, in free text."""

    title: Text | None = None
    url: Text | None = None
    date: Text | None = None
    note: Text | None = None


class UnitsFields(Written):
    """What the document itself says a GB is."""

    GB: Reading
    quote: FieldQuote


class DefaultsWritten(ScenarioFields):
    """Fields of every scenario to which they apply, with the quotes that say what they are."""

    quotes: Annotated[
        dict[FieldName, FieldQuote] | None,
        Alias(description="Field to the quote that says so; needed where a list or range narrows what is open."),
    ] = None


class ScenarioWritten(DefaultsWritten):
    """A scenario: its fields, the scenario that it extends, and the quotes that say what its fields are."""

    title: Annotated[Text | None, Alias(description="A name for readers.")] = None
    note: Annotated[Text | None, Alias(description="A remark for readers of the spec.")] = None
    extends: Annotated[ScenarioName | None, Alias(description="The scenario whose fields this one takes over.")] = None


class ScenarioFile(ScenarioFields):
    """A file that holds one scenario and nothing else, to be estimated."""

    title: Annotated[Text | None, Alias(description="A name for readers.")] = None
    note: Annotated[Text | None, Alias(description="A remark for readers of the file.")] = None


class SpecFields(Written):
    """The scenarios and claims of one document."""

    document: Annotated[
        DocumentPath | None, Alias(description="The document, relative to this file; inside the repository.")
    ] = None
    slug: Annotated[ScenarioName | None, Alias(description="The first part of claim ids; else the folder's name.")] = (
        None
    )
    title: Annotated[Text | None, Alias(description="The document's title for readers.")] = None
    source: Annotated[SourceFields | None, Alias(description="Where the document's figures come from.")] = None
    marks: Annotated[
        Skip | None, Alias(description="Whether the document marks claims itself: <!-- toolkit: claim … -->.")
    ] = None
    units: Annotated[UnitsFields | None, Alias(description="What the document declares a GB to be.")] = None
    values: Annotated[
        dict[Identifier, ValueSource] | None,
        Alias(description="Figures of the document that several claims or fields point at."),
    ] = None
    defaults: Annotated[DefaultsWritten | None, Alias(description="Fields of every scenario to which they apply.")] = (
        None
    )
    scenarios: Annotated[dict[ScenarioName, ScenarioWritten] | None, Alias(description="The scenarios.")] = None
    claims: Annotated[list[ClaimItem] | None, Alias(description="The claims.")] = None
