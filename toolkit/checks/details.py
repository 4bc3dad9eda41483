"""The details of a claim or a finding that every report shows, as pairs of a label and a text."""

from __future__ import annotations

from collections.abc import Iterator

from toolkit.checks.evidence_text import evidence_line
from toolkit.checks.judgement import Judgement, Verdict
from toolkit.finding import Finding

LONGEST_LINE = 160


def verdict_text(judgement: Judgement) -> str:
    """The verdict, with "(acknowledged)" or "(ignored)" where a spec or a document accepts it."""
    by = " (acknowledged)" if judgement.acknowledged else " (ignored)" if judgement.ignored else ""
    return f"{judgement.verdict.value}{by}"


def claim_details(judgement: Judgement) -> Iterator[tuple[str, str]]:
    """The details of a claim beside its verdict: reason, evidence, boundary, repair, acknowledgement, spec."""
    outcome = judgement.outcome
    if outcome.reason:
        yield "reason", outcome.reason
    for evidence in outcome.evidence:
        yield "evidence", evidence_line(evidence, outcome.claimed, outcome.reason)
    if outcome.boundary:
        yield "boundary", outcome.boundary
    if outcome.repair:
        yield "settle it" if judgement.verdict is Verdict.DEPENDS else "repair", outcome.repair
    said = judgement.acknowledged
    if said is not None:
        until = f" (until {said.until.isoformat()})" if said.until else ""
        yield "acknowledged", f"{said.reason}{until}"
    if judgement.ignored is not None:
        until = f" (until {judgement.ignored.until.isoformat()})" if judgement.ignored.until else ""
        yield "ignored", f"{judgement.ignored.reason}{until}, says {judgement.ignored.place}"
    yield "spec", str(judgement.spec_place)


def finding_details(finding: Finding) -> Iterator[tuple[str, str]]:
    """The details of a finding beside its message: difference, candidates, repair."""
    if finding.suggestion is not None:
        shown = {"=": "{}", "-": "[-{}-]", "+": "{{+{}+}}"}  # as `git diff --word-diff` writes it
        yield "difference", "".join(shown[sign].format(text) for sign, text in finding.suggestion.diff)
    elif len(finding.related) > 1:
        for related in finding.related:
            yield "candidate", f"line {related.place.line}: {_cut(related.text)}"
    if finding.repair:
        yield "repair", finding.repair


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE - 1]}…"
