"""The result of one run of the check: a report for each spec, and the findings outside of reports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from toolkit.checks.judgement import Judgement, Verdict
from toolkit.finding import Finding, Place, Severity
from toolkit.frozen import frozen
from toolkit.spec.document_spec import Spec

UNREADABLE = frozenset({"S101", "S111", "S114", "D205"})
"""Codes of findings that say that something could not be read at all."""


@frozen
class Figure:
    """A memory figure of a document: whether a claim covers it, or a comment asks to ignore it."""

    place: Place
    text: str
    quantity: str
    covered: bool
    ignored: bool = False


@frozen
class SpecReport:
    """The judgements on the claims of one spec, in the order of the document, and the findings about it.

    `figures` are the memory figures of its document; None where the run did not look for them.
    """

    spec: Spec
    judgements: tuple[Judgement, ...]
    findings: tuple[Finding, ...]
    figures: tuple[Figure, ...] | None = None

    @property
    def counts(self) -> Mapping[Verdict, int]:
        """How many claims have each verdict."""
        counted = Counter(judgement.verdict for judgement in self.judgements)
        return {verdict: counted[verdict] for verdict in Verdict}


@frozen
class CheckResult:
    """The reports on all specs whose document could be read, and the findings outside of them.

    `readings` counts the published readings whose form was checked; no reading is judged as a claim.
    """

    reports: tuple[SpecReport, ...]
    findings: tuple[Finding, ...] = ()
    readings: int = 0

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
    def ignored(self) -> int:
        """How many claims that disagree or depend are ignored by a comment in the document."""
        return sum(one.ignored is not None for one in self.judgements)

    @property
    def documents(self) -> int:
        """How many documents were judged."""
        return len({report.spec.document_path for report in self.reports})

    @property
    def unreadable(self) -> bool:
        """Whether something could not be read at all."""
        return any(finding.code in UNREADABLE for finding in self.all_findings)

    def gates(self, fail_on: frozenset[Verdict]) -> bool:
        """Whether anything gates: an error, a claim that disagrees, or one with a verdict in `fail_on`."""
        return any(finding.severity is Severity.ERROR for finding in self.all_findings) or any(
            gates(judgement, fail_on) for judgement in self.judgements
        )


def gates(judgement: Judgement, fail_on: frozenset[Verdict]) -> bool:
    """Whether a claim gates by itself or because its verdict is in `fail_on`."""
    if judgement.ignored is not None:
        return False
    return judgement.gates or (judgement.verdict in fail_on and judgement.verdict is not Verdict.DISAGREES)
