"""Anchors: characters put into a Markdown source at the ends of marks, where they change nothing else.

A character from Unicode's second private plane stands for each end. A mark is anchored only if the source with its
anchors parses to the same tokens as the source without, anchors aside: whatever Markdown makes of a document,
its marks cannot change it, and a mark that would is left to the list below the document.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from markdown_it import MarkdownIt
from markdown_it.token import Token

from toolkit.pages.marks import Mark

FIRST = 0xF0000
LAST = 0xFFFFD
LARGEST_NUMBER = (LAST - FIRST) // 2
ANCHOR = re.compile(f"[{chr(FIRST)}-{chr(LAST)}]")
_PARSES = 60
"""The most parses of a document in the search for marks that would change it; undecided ones are left out."""


def opening(mark: Mark) -> str:
    """The character at the start of a mark."""
    return chr(FIRST + 2 * mark.number)


def closing(mark: Mark) -> str:
    """The character at the end of a mark."""
    return chr(FIRST + 2 * mark.number + 1)


def number_of(anchor: str) -> tuple[int, bool]:
    """The number of the mark that an anchor belongs to, and whether it opens it."""
    number, closes = divmod(ord(anchor) - FIRST, 2)
    return number, not closes


def anchored(source: str, marks: Sequence[Mark], parser: MarkdownIt) -> list[Token]:
    """The tokens of a source with the anchors of all marks that change nothing; marks are offsets of the source."""
    source = ANCHOR.sub("\ufffd", source)
    marks = [mark for mark in marks if mark.start < mark.end and mark.number < LARGEST_NUMBER]
    return _Anchoring(source, parser).tokens(marks)


class _Anchoring:
    def __init__(self, source: str, parser: MarkdownIt) -> None:
        self.source = source
        self.parser = parser
        self.plain = list(_shape(parser.parse(source)))
        self.left = _PARSES

    def tokens(self, marks: Sequence[Mark]) -> list[Token]:
        return self.parser.parse(with_anchors(self.source, self._harmless(marks)))

    def _harmless(self, marks: Sequence[Mark]) -> list[Mark]:
        """The marks that change nothing, found by halving."""
        if not marks or self.left <= 0:
            return []
        if self._same(marks):
            return list(marks)
        if len(marks) == 1:
            return []
        middle = len(marks) // 2
        first, second = self._harmless(marks[:middle]), self._harmless(marks[middle:])
        both = [*first, *second]
        return both if not (first and second) or self._same(both) else first

    def _same(self, marks: Sequence[Mark]) -> bool:
        self.left -= 1
        return list(_shape(self.parser.parse(with_anchors(self.source, marks)))) == self.plain


def with_anchors(source: str, marks: Sequence[Mark]) -> str:
    """The source with the anchors of marks; where several meet, the longer encloses the shorter."""
    ends = [(mark.end, 0, -mark.start, mark.end, closing(mark)) for mark in marks]
    starts = [(mark.start, 1, -mark.end, mark.start, opening(mark)) for mark in marks]
    pieces, last = [], 0
    for _, _, _, offset, anchor in sorted(ends + starts):
        pieces += [source[last:offset], anchor]
        last = offset
    return "".join([*pieces, source[last:]])


def _shape(tokens: Sequence[Token]) -> Iterator[tuple[object, ...]]:
    """The structure of a page: kinds, tags, attributes and contents of all tokens, without anchors."""
    for token in tokens:
        content = "" if token.children is not None else ANCHOR.sub("", token.content)
        if token.type != "text" or content:
            attributes = tuple(token.attrs.items())
            yield token.type, token.tag, token.nesting, token.hidden, token.info, attributes, content
        yield from _shape(token.children or ())
