"""One run of the check: every spec is loaded, its document read and bound, and every claim judged."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from toolkit.checks.judge import SpecReport, judge_spec
from toolkit.checks.judgement import Judgement, Verdict
from toolkit.checks.side_by_side import side_by_side
from toolkit.documents.bind import bind
from toolkit.documents.document import Document, read_document
from toolkit.documents.structure import parser
from toolkit.finding import Finding, Severity
from toolkit.spec.document_spec import Spec
from toolkit.spec.load import load_spec, spec_files, together
from toolkit.spec.spec_fields import SpecFields
from toolkit.spec.walk import reading_folders

UNREADABLE = frozenset({"S101", "S111", "S114", "D205"})
"""Codes of findings that say that the check could not look."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """All that one run found: a report for each spec with a document, and what is wrong beside.

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


def check_paths(paths: Iterable[Path], root: Path, today: date, *, forks: bool = False) -> CheckResult:
    """Judges all specs in files and folders inside `root`. `today` tells which acknowledgements are over.

    `forks` lets a second process do half of it.
    """
    documents: dict[Path, Document | Finding] = {}

    def checked(path: Path) -> _Checked:
        spec, findings = load_spec(path, root)
        if spec is None:
            return _Checked(None, findings, None)
        document = _document(spec, root, documents)
        said = document if isinstance(document, Finding) else judge_spec(spec, bind(spec, document), today)
        return _Checked(spec, findings, said)

    paths = list(paths)
    files, findings = spec_files(paths, root)
    found = _largest_first(checked, files) if forks else [checked(path) for path in files]
    _, findings = together([(one.spec, one.findings) for one in found], findings)
    findings += [one.said for one in found if isinstance(one.said, Finding)]
    reports = [one.said for one in found if isinstance(one.said, SpecReport)]
    reports.sort(key=lambda report: report.spec.shown_path)
    readings = _readings(paths, root, findings)
    return CheckResult(tuple(reports), tuple(dict.fromkeys(findings)), readings)


def _readings(paths: Iterable[Path], root: Path, findings: list[Finding]) -> int:
    """How many published readings are there; what is wrong with their form goes to `findings`."""
    count = 0
    for folder in reading_folders(paths):
        from toolkit.spec.published import load_published  # noqa: PLC0415 - most runs meet no readings

        source, found = load_published(folder, root)
        findings += found
        count += sum(len(run.readings) for run in source.runs) if source else 0
    return count


class _Checked(NamedTuple):
    """A file of a spec: what it holds, what is wrong with it, and what is said of its document, if that was read."""

    spec: Spec | None
    findings: list[Finding]
    said: SpecReport | Finding | None


def _largest_first(checked: Callable[[Path], _Checked], files: Sequence[Path]) -> list[_Checked]:
    """What is found of each file, in order; large ones are begun first, so that both processes end together."""
    SpecFields.model_rebuild()  # what every file needs is made once, before the processes part
    parser()
    places = sorted(range(len(files)), key=lambda place: -_size(files[place]))
    found = side_by_side(checked, [files[place] for place in places])
    return [one for _, one in sorted(zip(places, found, strict=True), key=itemgetter(0))]


def _size(path: Path) -> int:
    """How large a file is; what cannot be read is soon done."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _document(spec: Spec, root: Path, known: dict[Path, Document | Finding]) -> Document | Finding:
    """The spec's document, read once however many specs it has."""
    path = spec.document_path.resolve()
    if path not in known:
        known[path] = read_document(spec.document_path, root)
    return known[path]
