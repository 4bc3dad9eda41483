"""The content of a draft: claims with their sources, scenarios, named values, and unbound figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from toolkit.frozen import frozen
from toolkit.spec.quote import Source


@frozen
class DraftedField:
    """A field of a scenario: its value, or "{name}" of a value of the document, and the line that says so.

    `why` says in words where no line does.
    """

    value: str
    line: int | None
    why: str = ""


@frozen
class DraftedScenario:
    """A situation that the document states, by field."""

    name: str
    fields: Mapping[str, DraftedField]
    open: Mapping[str, str] = field(default_factory=dict)


@frozen
class DraftedClaim:
    """A claim as it will be written. `question` is why it is not judged yet: what the document leaves to a guess."""

    line: int
    quantity: str
    source: Source
    scenario: str | None = None
    question: str | None = None
    overrides: Mapping[str, str] = field(default_factory=dict)
    subject: Mapping[str, str] = field(default_factory=dict)
    start: str | None = None
    end: str | None = None


@frozen
class Loose:
    """A figure that no claim is bound to: its line, its text, and the reason."""

    line: int
    text: str
    why: str


@frozen
class Draft:
    """All that is drafted of one document.

    `units` is what it says a GB is, and where; `named` are numbers that it names for settings anywhere.
    """

    title: str | None
    claims: tuple[DraftedClaim, ...]
    scenarios: Mapping[str, DraftedScenario]
    values: Mapping[str, Source]
    loose: tuple[Loose, ...]
    units: tuple[str, Source] | None = None
    named: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
