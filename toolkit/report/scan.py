"""Figures found in documents without a spec, as text, as JSON, and as annotations of a GitHub workflow."""

from __future__ import annotations

from toolkit.checks.judgement import Verdict
from toolkit.checks.result import CheckResult
from toolkit.checks.unspecified.result import ScannedClaim, ScanResult
from toolkit.finding import Finding, Severity
from toolkit.report.github import check_github
from toolkit.report.json import as_json, finding_json, ignored_json, number
from toolkit.report.terminal import INDENT, Paint, line, plural

LONGEST_TEXT = 120


def scan_text(result: ScanResult, *, every: bool = True, paint: Paint | None = None) -> str:
    """A block for each figure, or with `every` off for each that disagrees, then the counts."""
    colours = paint or Paint()
    blocks = [_finding(finding, colours) for finding in result.findings]
    blocks += [_claim(claim, colours) for claim in result.claims if every or claim.gates or claim.ignored]
    blocks.append(colours.bold(scan_summary(result)))
    return "\n".join(blocks) + "\n"


def scan_summary(result: ScanResult) -> str:
    """The counts of every verdict, in one line."""
    counts = result.counts
    figures = f"{plural(len(result.claims), 'figure')} in {plural(len(result.documents), 'document')}"
    return (
        f"{figures}: {plural(counts[Verdict.AGREES], 'agrees', 'agree')},"
        f" {plural(counts[Verdict.DISAGREES], 'disagrees', 'disagree')},"
        f" {counts[Verdict.UNCHECKED]:,} unchecked; {plural(len(result.findings), 'finding')}"
        + (f"; {plural(result.ignored, 'figure')} ignored by comments in documents" if result.ignored else "")
    )


def scan_json(result: ScanResult) -> str:
    """The figures of all documents, what could not be read, and the counts."""
    return as_json(
        {
            "claims": [_as_object(claim) for claim in result.claims],
            "findings": [finding_json(finding) for finding in result.findings],
            "counts": {
                "claims": len(result.claims),
                "documents": len(result.documents),
                **{verdict.value: count for verdict, count in result.counts.items()},
                "ignored": result.ignored,
                "findings": len(result.findings),
            },
        }
    )


def scan_github(result: ScanResult) -> str:
    """One command a line for each figure that disagrees and each document that could not be read."""
    return check_github(scanned_findings(result))


def scanned_findings(result: ScanResult) -> CheckResult:
    """The figures that disagree, as findings: without a spec there are no claims."""
    false = tuple(_of_claim(claim) for claim in result.claims if claim.gates or claim.ignored)
    return CheckResult((), result.findings + false)


def _of_claim(claim: ScannedClaim) -> Finding:
    said = f'"{_shown(claim)}" ({claim.quantity}) disagrees: {claim.reason}'
    if claim.ignored is None:
        return Finding(claim.place, claim.code, said, claim.repair)
    return Finding(claim.place, claim.code, f"{said}; ignored: {claim.ignored.reason}", claim.repair, Severity.NOTE)


def _as_object(claim: ScannedClaim) -> dict[str, object]:
    place = claim.place
    return {
        "document": place.path,
        "line": place.line,
        "column": place.column,
        "end_line": place.end_line,
        "end_column": place.end_column,
        "quote": claim.quote,
        "text": claim.text,
        "quantity": claim.quantity,
        "code": claim.code,
        "low": number(claim.low),
        "high": number(claim.high),
        "unit": claim.unit,
        "hedge": claim.hedge,
        "mark": claim.mark,
        "context": dict(claim.context),
        "verdict": claim.verdict.value,
        "reason": claim.reason,
        "repair": claim.repair,
        "ignored": ignored_json(claim.ignored) if claim.ignored else None,
    }


def _claim(claim: ScannedClaim, paint: Paint) -> str:
    about = ", ".join((claim.quantity, *(f"{name} {what}" for name, what in claim.context.items())))
    verdict = f"{claim.verdict.value}{' (ignored)' if claim.ignored else ''}"
    painted = {Verdict.AGREES: paint.green, Verdict.DISAGREES: paint.red}.get(claim.verdict, paint.yellow)(verdict)
    subject = f'"{_shown(claim)}" ({about})'
    lines = [f"{line(f'{claim.place}: {claim.code} ')} {painted}: {line(subject)}"]
    if claim.verdict is not Verdict.UNCHECKED or claim.specific:
        lines.append(_labelled("reason", claim.reason, paint))
    if claim.ignored is not None:
        lines.append(_labelled("ignored", f"{claim.ignored.reason}, says {claim.ignored.place}", paint))
    if claim.repair:
        lines.append(_labelled("repair", claim.repair, paint))
    return "\n".join(lines)


def _shown(claim: ScannedClaim) -> str:
    text = " ".join(claim.text.split())
    return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 1]}…"


def _labelled(label: str, text: str, paint: Paint) -> str:
    said = line(f"{label}: {text}")
    return f"{INDENT}{paint.dim(said[: len(label) + 1])}{said[len(label) + 1 :]}"


def _finding(finding: Finding, paint: Paint) -> str:
    colour = paint.red if finding.severity is Severity.ERROR else paint.yellow
    text = f"{line(f'{finding.place}:')} {colour(finding.code)} {line(finding.message)}"
    return f"{text}\n{_labelled('repair', finding.repair, paint)}" if finding.repair else text
