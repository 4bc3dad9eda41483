"""All that is said of a claim beside its verdict, in words: what every report and page shows."""

from __future__ import annotations

from collections.abc import Iterator

from toolkit.checks.evidence_text import evidence_line
from toolkit.checks.judgement import Judgement, Verdict


def claim_details(judgement: Judgement) -> Iterator[tuple[str, str]]:
    """All that is said of a claim beside its verdict, each with a word for what it is."""
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
    yield "spec", str(judgement.spec_place)
