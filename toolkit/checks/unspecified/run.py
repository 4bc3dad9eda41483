"""Runs every check that needs no spec over documents, and joins their remarks with the figures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Final

from toolkit.checks.judgement import Verdict
from toolkit.checks.unspecified.across import Statements
from toolkit.checks.unspecified.cards import check_cards
from toolkit.checks.unspecified.changes import check_changes, check_differences
from toolkit.checks.unspecified.conversions import check_conversions
from toolkit.checks.unspecified.counts import check_parameters, check_weights
from toolkit.checks.unspecified.ignored import answered
from toolkit.checks.unspecified.remark import CODE_OF, Remark
from toolkit.checks.unspecified.repeats import check_repeats
from toolkit.checks.unspecified.result import UNCHECKED, ScannedClaim, ScanResult
from toolkit.checks.unspecified.room import check_room
from toolkit.checks.unspecified.sums import check_arithmetic
from toolkit.checks.unspecified.totals import check_totals
from toolkit.documents.directives.comment import addressed
from toolkit.documents.scan.claim import FoundClaim, Scanned
from toolkit.documents.scan.scan import scan
from toolkit.documents.walk import read_any
from toolkit.finding import Finding, Place

CHECKS: Final[tuple[Callable[[Scanned], Iterator[Remark]], ...]] = (
    check_repeats,
    check_arithmetic,
    check_totals,
    check_conversions,
    check_changes,
    check_differences,
    check_cards,
    check_room,
    check_parameters,
    check_weights,
)
"""Every check that needs no spec; the verdict of a later one on a figure replaces that of an earlier one."""

_LONGEST_QUOTE: Final = 160


def scan_documents(
    paths: Sequence[Path], root: Path, missing: Sequence[Finding] = (), today: date | None = None
) -> ScanResult:
    """Scans Markdown files and compares what they state; `missing` are findings of paths at which there is none.

    `today` tells which comments of documents that ask to ignore something are over; without it, none are read.
    """
    documents: list[str] = []
    claims: list[ScannedClaim] = []
    findings: list[Finding] = list(missing)
    statements = Statements() if len(paths) > 1 else None
    for path in paths:
        document = read_any(path, root)
        if isinstance(document, Finding):
            findings.append(document)
            continue
        documents.append(document.path)
        scanned = scan(document)
        found = judged(scanned)
        said = list(statements.differing(scanned)) if statements else []
        if today is not None and addressed(document):
            found, said = answered(document, found, said, today)
        findings += said
        claims += found
    return ScanResult(tuple(documents), tuple(claims), tuple(findings))


def judged(scanned: Scanned) -> list[ScannedClaim]:
    """Every figure of a document with its remark, and the remarks about other statements, in the order of the text."""
    remarks: dict[tuple[int, str], Remark] = {}
    for check in CHECKS:
        for remark in check(scanned):
            known = remarks.get((remark.start, remark.quantity))
            if known is None or known.verdict is not Verdict.DISAGREES:
                remarks[remark.start, remark.quantity] = remark
    found = [_with(scanned, claim, remarks.pop((claim.start, claim.quantity), None)) for claim in scanned.claims]
    found += [_alone(scanned, remark) for remark in remarks.values()]
    return sorted(found, key=lambda claim: (claim.place, claim.quantity))


def _with(scanned: Scanned, claim: FoundClaim, remark: Remark | None) -> ScannedClaim:
    value = claim.value
    place = scanned.place(claim.start, claim.end)
    return ScannedClaim(
        place=place,
        text=scanned.written(claim.start, claim.end),
        quote=_quote(scanned, place),
        quantity=claim.quantity,
        code=CODE_OF[claim.quantity],
        verdict=remark.verdict if remark else Verdict.UNCHECKED,
        reason=remark.reason if remark else UNCHECKED,
        repair=remark.repair if remark else None,
        low=claim.low,
        high=claim.high,
        unit=value.unit.symbol or None if value else None,
        hedge=value.hedge if value else None,
        mark=claim.mark.value if claim.mark else None,
        context=claim.context,
    )


def _alone(scanned: Scanned, remark: Remark) -> ScannedClaim:
    place = scanned.place(remark.start, remark.end)
    return ScannedClaim(
        place=place,
        text=scanned.written(remark.start, remark.end),
        quote=_quote(scanned, place),
        quantity=remark.quantity,
        code=CODE_OF[remark.quantity],
        verdict=remark.verdict,
        reason=remark.reason,
        repair=remark.repair,
    )


def _quote(scanned: Scanned, place: Place) -> str:
    """The line of a figure, or the part around the figure of a long one, as it stands in the file."""
    line = scanned.document.line_text(place.line)
    if len(line) <= _LONGEST_QUOTE:
        return line.strip()
    start = max(0, min(place.column - 1 - _LONGEST_QUOTE // 2, len(line) - _LONGEST_QUOTE))
    return line[start : start + _LONGEST_QUOTE].strip()
