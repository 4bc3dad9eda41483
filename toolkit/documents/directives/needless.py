"""Findings about comments that are expired, or that nothing needs any more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date

from toolkit.documents.directives.ignore import Ignore, read_ignores
from toolkit.documents.document import Document
from toolkit.finding import Finding

OVER = "D212"
_REPAIR = "correct the document, or say anew why it stays"


def current_ignores(document: Document, today: date) -> tuple[list[Ignore], list[Finding]]:
    """The comments in force today, and findings about those that cannot be understood or have expired."""
    ignores, findings = read_ignores(document)
    over = [ignore for ignore in ignores if ignore.until is not None and ignore.until < today]
    findings += [Finding(one.place, OVER, f"this comment ended on {one.until}", _REPAIR) for one in over]
    return [ignore for ignore in ignores if ignore not in over], findings


def needless(used: Mapping[Ignore, Iterable[str]]) -> list[Finding]:
    """A finding for each code in a comment that nothing in the document needs."""
    found = []
    for ignore, codes in used.items():
        spare = [code for code in ignore.codes if code not in codes]
        if spare:
            what = "nothing" if len(spare) == len(ignore.codes) else f"nothing with {', '.join(spare)}"
            lines = f"line {ignore.first}" if ignore.first == ignore.last else f"lines {ignore.first} to {ignore.last}"
            said = f"{what} in {lines} needs to be ignored"
            found.append(Finding(ignore.place, OVER, said, "take the comment or the code out"))
    return found
