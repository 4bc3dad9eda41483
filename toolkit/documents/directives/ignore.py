"""`<!-- toolkit: ignore CODE reason="…" until=YYYY-MM-DD -->`: known problems that a document asks to ignore."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from datetime import date

from toolkit.codes import CODES
from toolkit.codes.claim import CLAIM_CODES
from toolkit.documents.directives.comment import Comment, malformed, nearest_of, read_comments
from toolkit.documents.document import Document
from toolkit.documents.wording import shown
from toolkit.finding import Finding, Place
from toolkit.frozen import frozen

UNCOVERED = "D210"
DIFFERING = "D214"
IGNORABLE = (*(code.code for code in CLAIM_CODES if not code.code.startswith("K")), UNCOVERED, DIFFERING)
"""Codes of what a document states; problems of a spec cannot be ignored in the document."""
KEYS = ("reason", "until")

_MARKERS = re.compile(r"[\s>]*(?:[-+*]|[0-9]{1,9}[.)])?\s*")
_COMMENTS = re.compile(r"<!--.*?-->", re.DOTALL)


@frozen
class Ignore:
    """Codes that are not to gate in lines `first` to `last` (from 1, both included), with the reason."""

    place: Place
    codes: tuple[str, ...]
    reason: str
    until: date | None
    first: int
    last: int

    def holds(self, place: Place, code: str) -> bool:
        """Whether it applies to a code at a place of its document."""
        return code in self.codes and self.first <= place.line <= self.last


def read_ignores(document: Document) -> tuple[list[Ignore], list[Finding]]:
    """The comments that ask to ignore something, and findings about those that cannot be understood."""
    comments, findings = read_comments(document)
    own = _own_lines(document, comments)
    following = _following(document, own)
    ignores = []
    for comment in comments:
        if comment.verb != "ignore":
            continue
        wrong = list(_mistakes(comment))
        lines = _scope(document, comment, own, following)
        if lines is None and not wrong:
            wrong.append(malformed(comment.place, "no text follows that it could speak of", "put it above the text"))
        findings += wrong
        if wrong or lines is None:
            continue
        until = comment.values.get("until")
        ignores.append(
            Ignore(
                comment.place,
                tuple(word.text for word in comment.words),
                " ".join(comment.values["reason"].text.split()),
                date.fromisoformat(until.text) if until else None,
                *lines,
            )
        )
    return ignores, findings


def _mistakes(comment: Comment) -> list[Finding]:
    found = [] if comment.words else [malformed(comment.place, "ignore names no code", "write ignore M301 …")]
    for word in comment.words:
        if word.text not in CODES:
            found.append(
                malformed(word.place, f"no finding has the code {shown(word.text)}", nearest_of(word.text, IGNORABLE))
            )
        elif word.text not in IGNORABLE:
            found.append(
                malformed(word.place, f"{word.text} is not about what a document states: it cannot be ignored in one")
            )
    for key, value in comment.values.items():
        if key not in KEYS:
            said = f"{shown(key)} is nothing that ignore knows; known: {', '.join(KEYS)}"
            found.append(malformed(value.place, said, nearest_of(key, KEYS)))
    reason, until = comment.values.get("reason"), comment.values.get("until")
    if reason is None or not any(map(str.isalpha, reason.text)):
        found.append(malformed(comment.place, "a reason is needed", 'add reason="…"'))
    if until is not None and not _is_date(until.text):
        found.append(malformed(until.place, f"{shown(until.text)} is not a date such as 2027-03-01"))
    return found


def _is_date(text: str) -> bool:
    try:
        return bool(re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text)) and bool(date.fromisoformat(text))
    except ValueError:
        return False


def _own_lines(document: Document, comments: list[Comment]) -> set[int]:
    """The lines with nothing but comments to the toolkit."""
    own: set[int] = set()
    lines = dict.fromkeys((document.lines.at(one.start), document.lines.at(one.end)) for one in comments)
    for first, last in lines:
        around = document.unquoted[document.lines.starts[first] : document.lines.span(last)[1]]
        if _MARKERS.fullmatch(_COMMENTS.sub("", around)):
            own.update(range(first, last + 1))
    return own


def _following(document: Document, own: set[int]) -> list[int]:
    """For each line, the first line from there on with text other than comments to the toolkit."""
    count = len(document.lines)
    following = [count] * (count + 1)
    for line in range(count - 1, -1, -1) if own else ():
        following[line] = line if line not in own and _text(document, line) else following[line + 1]
    return following


def _scope(document: Document, comment: Comment, own: set[int], following: Sequence[int]) -> tuple[int, int] | None:
    """The lines to which a comment applies: its own, if it holds other text, else the next block."""
    first, last = document.lines.at(comment.start), document.lines.at(comment.end)
    if first not in own:
        return first + 1, last + 1
    line, count = following[last + 1], len(document.lines)
    if line >= count:
        return None
    at = bisect_right(document.tables, document.lines.span(line)[1], key=lambda table: table.start) - 1
    if at >= 0 and document.lines.starts[line] < document.tables[at].end:
        return line + 1, document.lines.at(document.tables[at].end) + 1
    end = line + 1
    verbatim = line in document.structure.verbatim
    while end < count and end not in document.structure.block_starts and (verbatim or _text(document, end)):
        end += 1
    return line + 1, end


def _text(document: Document, line: int) -> str:
    return document.unquoted[slice(*document.lines.span(line))].strip()
