"""Specs and their document as texts in memory, which are checked before anything is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from toolkit.checks.fix.source import Source
from toolkit.checks.ignored import hear
from toolkit.checks.judge import judge_spec
from toolkit.checks.judgement import Judgement, Verdict
from toolkit.checks.result import SpecReport
from toolkit.documents.bind import Binding, bind
from toolkit.documents.directives.comment import addressed
from toolkit.documents.document import Document
from toolkit.finding import Finding
from toolkit.frozen import frozen
from toolkit.spec.document_spec import Spec
from toolkit.spec.load import spec_from_text

LOST = frozenset({"D201", "D203", "D206"})
REVEALED = frozenset({"D204", "D208", "S113"})
"""Codes of findings that may appear once a quote is found, as its slot is then checked."""


@frozen
class SpecFile:
    """A spec's file, and the path by which it was named."""

    path: Path
    source: Source


@dataclass(frozen=True)
class Trial:
    """A document and all specs about it, as texts."""

    root: Path
    document: Document
    specs: Mapping[SpecFile, str]
    _bound: dict[SpecFile, tuple[Spec | None, list[Finding]]] = field(default_factory=dict, repr=False)

    def spec(self, file: SpecFile) -> tuple[Spec | None, list[Finding]]:
        """The spec in the text of a file, and its findings."""
        if file not in self._bound:
            self._bound[file] = spec_from_text(self.specs[file], file.path, self.root)
        return self._bound[file]

    def binding(self, file: SpecFile) -> Binding | None:
        """The binding of a spec to the document; None where the spec cannot be read."""
        spec, _ = self.spec(file)
        return bind(spec, self.document) if spec is not None else None

    def problems(self, file: SpecFile) -> Counter[str]:
        """How many findings of each code loading and binding a spec gives."""
        _, findings = self.spec(file)
        binding = self.binding(file)
        return Counter(finding.code for finding in (*findings, *(binding.findings if binding else ())))

    def reports(self, today: date) -> list[SpecReport]:
        """The reports on all specs, with claims that the document asks to ignore marked as such."""
        reports = []
        for file in self.specs:
            spec, binding = self.spec(file)[0], self.binding(file)
            if spec is not None and binding is not None:
                report = judge_spec(spec, binding, today)
                reports.append(hear(report, self.document, today)[0] if addressed(self.document) else report)
        return reports

    def with_spec(self, file: SpecFile, text: str) -> Trial:
        """The same with another text in one spec."""
        return Trial(self.root, self.document, {**self.specs, file: text})

    def with_document(self, text: str) -> Trial:
        """The same with another text in the document."""
        return Trial(self.root, Document(self.document.path, text), self.specs, self._bound)


def quotes_better(before: Counter[str], after: Counter[str]) -> bool:
    """Whether fewer quotes are lost, without new problems other than those that found quotes reveal."""
    if sum(after[code] for code in LOST) >= sum(before[code] for code in LOST):
        return False
    return all(after[code] <= before[code] for code in after if code not in LOST | REVEALED)


def numbers_better(before: list[SpecReport], after: list[SpecReport], corrected: set[str]) -> bool:
    """Whether the corrected claims agree now, no other became false, and no finding came up.

    An acknowledgement of a corrected claim has become needless (K902), which is for a person to take out.
    """
    old, new = _by_id(before), _by_id(after)
    if old.keys() != new.keys() or any(new[name].verdict is not Verdict.AGREES for name in corrected):
        return False
    if any(new[name].verdict is Verdict.DISAGREES and old[name].verdict is not Verdict.DISAGREES for name in new):
        return False
    found, known = (Counter(one.code for report in reports for one in report.findings) for reports in (after, before))
    found["K902"] -= len(corrected)
    return all(found[code] <= known[code] for code in found)


def _by_id(reports: list[SpecReport]) -> dict[str, Judgement]:
    return {judgement.id: judgement for report in reports for judgement in report.judgements}
