"""Comments that address the toolkit: a verb, words, and keys with values, each with its place."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches

from toolkit.documents.document import Document
from toolkit.documents.spans import Spans
from toolkit.documents.wording import shown
from toolkit.finding import Finding, Place
from toolkit.frozen import frozen

LONGEST = 2_000
"""The most characters of one comment."""
MOST = 1_000
"""The most comments of one document."""
VERBS = ("ignore", "claim", "end")
MALFORMED = "D211"

_ADDRESSED = re.compile(r"\s{0,20}toolkit:")
_PART = re.compile(r'\s*(?:(?P<key>[A-Za-z_][\w-]*)\s{0,20}=\s{0,20})?(?:"(?P<quoted>[^"]*)"|(?P<word>[^\s"=]+))')
_BACKTICKS = re.compile("`+")


@frozen
class Written:
    """A word or a value of a comment, and its place."""

    text: str
    place: Place


@frozen
class Comment:
    """A comment to the toolkit: offsets from "<" to after ">", its verb, words after it, and keys with values."""

    start: int
    end: int
    place: Place
    verb: str
    words: tuple[Written, ...]
    values: Mapping[str, Written]


def addressed(document: Document) -> bool:
    """Whether a document may address the toolkit at all: a cheap first look at the text."""
    return "toolkit:" in document.text and "<!--" in document.text


def read_comments(document: Document) -> tuple[list[Comment], list[Finding]]:
    """The comments of a document that speak to the toolkit, in order, and those that nobody can read.

    Code is left out: a comment shown in it is an example.
    """
    comments: list[Comment] = []
    findings: list[Finding] = []
    for number, (start, end) in enumerate(_spans(document)):
        if number == MOST:
            findings.append(_malformed(document, start, f"more than {MOST:,} comments to the toolkit"))
            break
        read = _read(document, start, end)
        if isinstance(read, Finding):
            findings.append(read)
        else:
            comments.append(read)
    return comments, findings


def malformed(place: Place, said: str, repair: str | None = None) -> Finding:
    """The finding for a comment that addresses the toolkit and cannot be understood."""
    return Finding(place, MALFORMED, said, repair)


def nearest_of(name: str, known: tuple[str, ...]) -> str | None:
    """The repair for an unknown name, if a known one is similar."""
    near = get_close_matches(name[:80], known, 1, 0.5)
    return f"write {near[0]}" if near else None


def _malformed(document: Document, start: int, said: str, repair: str | None = None) -> Finding:
    return malformed(document.place(start), said, repair)


def _spans(document: Document) -> Iterator[tuple[int, int]]:
    """Offsets of the comments; a comment ends at the first "-->" (CommonMark 0.31, section 6.6)."""
    text, at = document.text, document.body
    code = _Code(document)
    while (start := text.find("<!--", at)) >= 0:
        if code.holds(start):
            at = start + 4
            continue
        close = text.find("-->", start + 4)
        if close < 0:
            if _ADDRESSED.match(text, start + 4):
                yield start, -1
            return
        at = close + 3
        if _ADDRESSED.match(text, start + 4):
            yield start, at


class _Code:
    """Where a document shows code: in blocks, and between backticks within a line."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._line = -1
        self._spans = Spans(())

    def holds(self, offset: int) -> bool:
        """Whether an offset lies in code; offsets ascend, so that each line is looked at once."""
        structure, line = self._document.structure, self._document.lines.at(offset)
        if line in structure.verbatim:
            return line not in structure.html
        if line != self._line:
            self._line, self._spans = line, Spans(_code_spans(self._document, line))
        return self._spans.meet(offset, offset + 1)


def _code_spans(document: Document, line: int) -> Iterator[tuple[int, int]]:
    """Code between backticks: a run of them ends at the next run of its length (CommonMark 0.31, section 6.1)."""
    runs = [run.span() for run in _BACKTICKS.finditer(document.text, *document.lines.span(line))]
    following: dict[int, list[int]] = {}
    for number in range(len(runs) - 1, -1, -1):
        following.setdefault(runs[number][1] - runs[number][0], []).append(number)
    number = 0
    while number < len(runs):
        start, end = runs[number]
        later = following[end - start]
        while later and later[-1] <= number:
            later.pop()
        if later:
            number = later[-1]
            yield start, runs[number][1]
        number += 1


def _read(document: Document, start: int, end: int) -> Comment | Finding:
    """The parts of one comment."""
    if end < 0:
        return _malformed(document, start, "the comment does not end", "close it with -->")
    if end - start > LONGEST:
        return _malformed(document, start, f"a comment of more than {LONGEST:,} characters")
    opening = _ADDRESSED.match(document.text, start + 4)
    assert opening is not None
    parts = _parts(document, opening.end(), end - 3)
    if isinstance(parts, Finding):
        return parts
    words, values = parts
    verb = words[0] if words else Written("", document.place(start, end))
    if verb.text not in VERBS:
        said = (
            f"{shown(verb.text)} is nothing that a comment can ask for" if verb.text else "the comment asks for nothing"
        )
        return malformed(verb.place, f"{said}; known: {', '.join(VERBS)}", nearest_of(verb.text, VERBS))
    return Comment(start, end, document.place(start, end), verb.text, tuple(words[1:]), values)


def _parts(document: Document, at: int, end: int) -> tuple[list[Written], dict[str, Written]] | Finding:
    words: list[Written] = []
    values: dict[str, Written] = {}
    text = document.text
    while at < end and text[at:end].strip():
        part = _PART.match(text, at, end)
        if part is None:
            rest = at + len(text[at:end]) - len(text[at:end].lstrip())
            return _malformed(
                document, rest, f"{shown(text[rest:end], 30)} cannot be read", 'write key="text", with straight quotes'
            )
        group = "word" if part["quoted"] is None else "quoted"
        written = Written(part[group], document.place(*part.span(group)))
        if part["key"] is None:
            words.append(written)
        elif part["key"] in values:
            return _malformed(document, part.start("key"), f"{part['key']} is written twice")
        else:
            values[part["key"]] = written
        at = part.end()
    return words, values
