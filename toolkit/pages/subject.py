"""The subject of the pages of one spec: its document, its marks, and its scenarios with their answers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from toolkit.checks.refusals import REFUSALS
from toolkit.checks.result import SpecReport
from toolkit.checks.situations.answer import Answer, answer
from toolkit.checks.situations.space import TooManySettingsError
from toolkit.documents.bind import bind
from toolkit.documents.document import Document, read_document
from toolkit.documents.read_field import resolved
from toolkit.finding import Finding
from toolkit.pages.marks import ClaimView, Mark, marks_of, one_line
from toolkit.spec.scenario import Scenario

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True)
class Situated:
    """A scenario with its answer, or the reason why there is none."""

    scenario: Scenario
    answer: Answer | None
    refusal: str = ""


@dataclass(frozen=True)
class Subject:
    """One spec's pages: `slug` is the name of their files."""

    report: SpecReport
    document: Document
    slug: str

    @property
    def title(self) -> str:
        """The title that the spec gives its document, or its slug."""
        return one_line(self.report.spec.title or self.report.spec.slug)

    @property
    def source(self) -> Mapping[str, str]:
        """What the spec says of the document's source."""
        return {one_line(name): one_line(text) for name, text in self.report.spec.source.items()}

    @cached_property
    def marks(self) -> tuple[Mark, ...]:
        """The marks of the document."""
        return marks_of(self.document, self.report.judgements)

    @property
    def claims(self) -> tuple[ClaimView, ...]:
        """All claims, in the order of the marks."""
        return tuple(claim for mark in self.marks for claim in mark.claims)

    @cached_property
    def scenarios(self) -> tuple[Situated, ...]:
        """The scenarios of the spec, with the document's values in them, each answered where it can be."""
        values = bind(self.report.spec, self.document).values
        stated = self.report.spec.scenarios.values()
        return tuple(_situated(resolved(one, values), self.report.spec.path.parent) for one in stated)


def subject_of(report: SpecReport, root: Path) -> Subject | None:
    """The subject of a report; None where its document has gone since."""
    document = read_document(report.spec.document_path, root)
    return None if isinstance(document, Finding) else Subject(report, document, file_name(report.spec.slug))


def file_name(name: str) -> str:
    """A name that is safe as a file name on any system: letters, digits, dots and hyphens."""
    return _UNSAFE.sub("-", name.replace("/", "--")).strip(".-")[:120] or "unnamed"


def _situated(scenario: Scenario, base: Path) -> Situated:
    try:
        found = answer(scenario, base)
    except REFUSALS as refusal:
        return Situated(scenario, None, f"this cannot be computed: {refusal}")
    except TooManySettingsError as error:
        return Situated(scenario, None, f"this is too open to be computed: {error}")
    return Situated(scenario, found, "" if found else f"no model is known as {scenario.model}")


def answered(subject: Subject) -> Iterator[Situated]:
    """The scenarios that have an answer."""
    return (situated for situated in subject.scenarios if situated.answer is not None)
