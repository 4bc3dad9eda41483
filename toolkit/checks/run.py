"""One run of the check: every spec is loaded, its document read and bound, and every claim judged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from toolkit.checks.judge import SpecReport, judge_spec
from toolkit.checks.judgement import Judgement, Verdict
from toolkit.documents.bind import bind
from toolkit.documents.document import Document, read_document
from toolkit.finding import Finding, Severity
from toolkit.spec.document_spec import Spec
from toolkit.spec.load import load_specs

UNREADABLE = frozenset({"S101", "S111", "S114", "D205"})
"""Codes of findings that say that the check could not look."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """All that one run found: a report for each spec with a document, and what is wrong beside."""

    reports: tuple[SpecReport, ...]
    findings: tuple[Finding, ...] = ()

    @property
    def judgements(self) -> tuple[Judgement, ...]:
        """Every claim judged, in the order of the reports."""
        return tuple(judgement for report in self.reports for judgement in report.judgements)

    @property
    def all_findings(self) -> tuple[Finding, ...]:
        """The findings beside the reports, then those of each report."""
        return self.findings + tuple(finding for report in self.reports for finding in report.findings)

    @property
    def counts(self) -> Mapping[Verdict, int]:
        """How many claims have each verdict."""
        return {verdict: sum(report.counts[verdict] for report in self.reports) for verdict in Verdict}

    @property
    def acknowledged(self) -> int:
        """How many of the claims that disagree are acknowledged."""
        return sum(one.verdict is Verdict.DISAGREES and one.acknowledged is not None for one in self.judgements)

    @property
    def documents(self) -> int:
        """How many documents were judged."""
        return len({report.spec.document_path for report in self.reports})

    @property
    def unreadable(self) -> bool:
        """Whether there was something at which the check could not look."""
        return any(finding.code in UNREADABLE for finding in self.all_findings)

    def gates(self, fail_on: frozenset[Verdict]) -> bool:
        """Whether anything gates: an error, a claim that disagrees, or one with a verdict in `fail_on`."""
        return any(finding.severity is Severity.ERROR for finding in self.all_findings) or any(
            gates(judgement, fail_on) for judgement in self.judgements
        )


def gates(judgement: Judgement, fail_on: frozenset[Verdict]) -> bool:
    """Whether a claim gates by itself or because its verdict is in `fail_on`."""
    return judgement.gates or (judgement.verdict in fail_on and judgement.verdict is not Verdict.DISAGREES)


def check_paths(paths: Iterable[Path], root: Path, today: date) -> CheckResult:
    """Judges all specs in files and folders inside `root`. `today` tells which acknowledgements are over."""
    specs, findings = load_specs(paths, root)
    documents: dict[Path, Document | Finding] = {}
    reports: list[SpecReport] = []
    for spec in specs:
        document = _document(spec, root, documents)
        if isinstance(document, Finding):
            findings.append(document)
        else:
            reports.append(judge_spec(spec, bind(spec, document), today))
    reports.sort(key=lambda report: report.spec.shown_path)
    return CheckResult(tuple(reports), tuple(dict.fromkeys(findings)))


def _document(spec: Spec, root: Path, known: dict[Path, Document | Finding]) -> Document | Finding:
    """The spec's document, read once however many specs it has."""
    path = spec.document_path.resolve()
    if path not in known:
        known[path] = read_document(spec.document_path, root)
    return known[path]
