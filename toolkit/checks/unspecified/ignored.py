"""Applies the comments of a document that ask to ignore something, where there is no spec."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from toolkit.checks.judgement import Ignored, Verdict
from toolkit.checks.unspecified.result import ScannedClaim
from toolkit.documents.directives.ignore import Ignore
from toolkit.documents.directives.needless import current_ignores, needless
from toolkit.documents.document import Document
from toolkit.finding import Finding


def answered(
    document: Document, claims: Sequence[ScannedClaim], warnings: Sequence[Finding], today: date
) -> tuple[list[ScannedClaim], list[Finding]]:
    """The statements with the comments that answer for them; the warnings that none answers for, and new ones of them.

    A comment is called needless only where its code was judged and nothing is false: a spec may need the others.
    """
    ignores, findings = current_ignores(document, today)
    used: dict[Ignore, set[str]] = {ignore: set() for ignore in ignores}
    judged: dict[Ignore, set[str]] = {ignore: set() for ignore in used}
    found = []
    for claim in claims:
        by = [ignore for ignore in used if ignore.holds(claim.place, claim.code)]
        for ignore in by if claim.verdict is not Verdict.UNCHECKED else ():
            judged[ignore].add(claim.code)
            if claim.verdict is Verdict.DISAGREES:
                used[ignore].add(claim.code)
        ignored = by and claim.verdict is Verdict.DISAGREES
        found.append(replace(claim, ignored=Ignored(by[0].reason, by[0].until, by[0].place)) if ignored else claim)
    unjudged = {ignore: codes | (set(ignore.codes) - judged[ignore]) for ignore, codes in used.items()}
    left = [one for one in warnings if not any(ignore.holds(one.place, one.code) for ignore in used)]
    return found, [*left, *findings, *needless(unjudged)]
