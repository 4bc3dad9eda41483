"""Applies a document's comments that ask to ignore something to the claims, and reports the needless ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date

from toolkit.checks.judgement import Ignored, Judgement, Verdict
from toolkit.checks.result import SpecReport
from toolkit.documents.directives.comment import read_comments
from toolkit.documents.directives.ignore import UNCOVERED, Ignore
from toolkit.documents.directives.needless import current_ignores, needless
from toolkit.documents.document import Document
from toolkit.finding import Finding, Place
from toolkit.frozen import frozen
from toolkit.spec.document_spec import Spec

UNREAD = "D213"
LOST = frozenset({"D201", "D202", "D203", "D204", "D206"})
"""Codes of quotes that were not found in the document, so that their claims are not judged."""

CAN_IGNORE = frozenset({Verdict.DISAGREES, Verdict.DEPENDS})


@frozen
class Heard:
    """How the comments of a document were used for one spec.

    `used` maps each comment to those of its codes that applied to something, `findings` are about comments that are
    malformed or expired. `unread` is the first mark of a claim, where the spec does not read marks.
    """

    used: Mapping[Ignore, frozenset[str]]
    findings: tuple[Finding, ...]
    unread: Place | None


def hear(report: SpecReport, document: Document, today: date) -> tuple[SpecReport, Heard]:
    """The report with the claims that comments ask to ignore marked as such, and how the comments were used."""
    ignores, findings = current_ignores(document, today)
    used: dict[Ignore, set[str]] = {ignore: set() for ignore in ignores}
    judgements = tuple(_answered(judgement, used, document) for judgement in report.judgements)
    if any(finding.code in LOST for finding in report.findings):
        used = {ignore: set(ignore.codes) for ignore in used}  # a claim that is not found may need them
    _use_remarks(used, document)
    _use_uncovered(used, report)
    heard = Heard(
        {ignore: frozenset(codes) for ignore, codes in used.items()},
        tuple(findings),
        None if report.spec.marks else _first_mark(document),
    )
    return replace(report, judgements=judgements), heard


def told(heard: Iterable[tuple[Spec, Heard]]) -> list[Finding]:
    """The findings about comments: malformed, expired and needless ones, and marks that no spec reads."""
    findings: dict[Finding, None] = {}
    used: dict[Ignore, set[str]] = {}
    unread: dict[str, Place] = {}
    read: set[str] = set()
    for spec, one in heard:
        findings.update(dict.fromkeys(one.findings))
        for ignore, codes in one.used.items():
            used.setdefault(ignore, set()).update(codes)
        document = str(spec.document_path)
        if one.unread is not None:
            unread[document] = one.unread
        elif spec.marks:
            read.add(document)
    found = [*findings, *needless(used)]
    for document, place in unread.items():
        if document not in read:
            said = "the document marks claims, and no spec of it says marks: true"
            found.append(Finding(place, UNREAD, said, "add marks: true to its spec, or take the mark out"))
    return found


def _answered(judgement: Judgement, used: Mapping[Ignore, set[str]], document: Document) -> Judgement:
    """The claim, marked as ignored if it needs that and a comment applies to it."""
    if judgement.verdict not in CAN_IGNORE or judgement.acknowledged is not None:
        return judgement
    if judgement.place.path != document.path:
        return judgement
    for ignore, codes in used.items():
        if ignore.holds(judgement.place, judgement.code):
            codes.add(judgement.code)
            return replace(judgement, ignored=Ignored(ignore.reason, ignore.until, ignore.place))
    return judgement


def _use_remarks(used: Mapping[Ignore, set[str]], document: Document) -> None:
    """Marks codes as used that the checks without a spec need: a comment may be there for those checks alone."""
    if not any(set(ignore.codes) - codes - {UNCOVERED} for ignore, codes in used.items()):
        return
    from toolkit.checks.unspecified.run import judged  # noqa: PLC0415 - few documents ask to ignore anything
    from toolkit.documents.scan.scan import scan  # noqa: PLC0415

    for claim in judged(scan(document)):
        for ignore, codes in used.items():
            if claim.verdict is Verdict.DISAGREES and ignore.holds(claim.place, claim.code):
                codes.add(claim.code)


def _use_uncovered(used: Mapping[Ignore, set[str]], report: SpecReport) -> None:
    """Marks comments as used that ignore figures without a claim; all of them if the run did not look for figures."""
    for ignore, codes in used.items():
        figures = report.figures
        if figures is None or any(not one.covered and ignore.holds(one.place, UNCOVERED) for one in figures):
            codes.add(UNCOVERED)


def _first_mark(document: Document) -> Place | None:
    comments, _ = read_comments(document)
    return next((comment.place for comment in comments if comment.verb == "claim"), None)
