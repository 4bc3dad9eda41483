"""Sources for figures: the shortest quote that stands in no other place, or a cell of a table."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from toolkit.documents.cells import find_cell
from toolkit.documents.document import Document
from toolkit.documents.draft.table_cells import CellSpot, cell_spot
from toolkit.documents.index import WORD
from toolkit.documents.match import Match, find_matches
from toolkit.documents.matching import TooCommonError
from toolkit.documents.pattern import Pattern, make_pattern
from toolkit.documents.quotes import find_quote
from toolkit.documents.sections import find_section
from toolkit.documents.structure import Heading
from toolkit.finding import Finding, Place, printable
from toolkit.frozen import frozen
from toolkit.spec.quote import Cell, Quote, Source, TableRef

DRAFTED: Final = Place("draft")
"""A dummy place: the spec is still to be written."""

_REACH: Final = 200
_TOKENS: Final = 12
_TRIES: Final = 48
_MANY: Final = 400
_COUNTED: Final = 6
"""The most quotes of a figure that are tried."""

_WORDS: Final = 2
_ENOUGH: Final = 8
"""The fewest letters that the words of a quote should have."""

_SENTENCE_ENDS: Final = re.compile(r"[.!?] ")
_LONGEST_LABEL: Final = 200
_LETTERS: Final = re.compile(r"[^\W\d_]{2,}")
_TOKEN: Final = re.compile(r"\S+")
FRONT_MATTER: Final = "---"


@frozen
class Found:
    """A source, and the text in its slot."""

    source: Source
    text: str


@frozen
class _Section:
    """A part of the document and the heading that names it; None for all of it."""

    under: str | None
    span: tuple[int, int]


class Sources:
    """Finds sources in one document, which is the file as it stands."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._starts = [heading.start for heading in document.headings]
        self._sections: dict[int, _Section] = {}
        self._common: set[tuple[str, tuple[int, int]]] = set()
        self._slots: dict[tuple[str, tuple[int, int]], dict[tuple[int, int], int]] = {}

    def find(self, start: int, end: int, around: tuple[int, int]) -> Found | None:
        """The source whose slot is the text between two offsets; `around` is what a quote of it is taken from."""
        spot = cell_spot(self._document, start)
        if spot is not None:
            return self._in_cell(spot, start, end) or self._quoted(start, end, spot.row_span)
        return self._quoted(start, end, around)

    def _section(self, offset: int) -> _Section:
        if offset < self._document.body:
            return _Section(FRONT_MATTER, (0, self._document.body))
        number = bisect_right(self._starts, offset) - 1
        if number not in self._sections:
            self._sections[number] = self._named(number, offset)
        return self._sections[number]

    def _named(self, number: int, offset: int) -> _Section:
        """The innermost section around an offset whose heading names it and no other."""
        for heading in reversed(self._document.headings[max(0, number - _MANY) : number + 1]):
            if heading.section_end <= offset:
                continue
            for label in _labels(heading):
                if find_section(self._document, label, hint=False) == (heading.start, heading.section_end):
                    return _Section(label, (heading.start, heading.section_end))
        return _Section(None, (self._document.body, len(self._document.text)))

    def _quoted(self, start: int, end: int, around: tuple[int, int]) -> Found | None:
        section = self._section(start)
        low, high = max(around[0], section.span[0]), min(around[1], section.span[1])
        for text in self._patterns(start, end, (low, high)):
            if (text, section.span) in self._common:
                continue
            quote = Quote(text, DRAFTED, section.under, None, has_slot=True)
            found = find_quote(self._document, quote, hint=False)
            if isinstance(found, Match) and _holds(found, start, end):
                return Found(quote, found.slots[0].text)
            self._common.add((text, section.span))
        return self._numbered(start, end, (low, high), section)

    def _numbered(self, start: int, end: int, around: tuple[int, int], section: _Section) -> Found | None:
        """A quote that stands several times, with the number of this one."""
        for text in self._patterns(start, end, around)[:_COUNTED]:
            number = self._numbers(text, section.span).get((start, end))
            if number is not None:
                quote = Quote(text, DRAFTED, section.under, number, has_slot=True)
                return Found(quote, self._document.index.text[slice(*self._spots(start, end))])
        return None

    def _numbers(self, text: str, section: tuple[int, int]) -> dict[tuple[int, int], int]:
        """The slots of a quote in a section, each with its number; counted once, however many figures ask."""
        if (text, section) not in self._slots:
            pattern = make_pattern(text)
            assert isinstance(pattern, Pattern), "made of escaped text"
            try:
                matches = find_matches(self._document, pattern, section, _MANY)
            except TooCommonError:
                matches = []
            self._slots[text, section] = {
                (match.slots[0].start, match.slots[0].end): number
                for number, match in enumerate(matches, 1)
                if match.slots
            }
        return self._slots[text, section]

    def _spots(self, start: int, end: int) -> tuple[int, int]:
        return self._document.index.spot(start), self._document.index.spot(end - 1) + 1

    def _in_cell(self, spot: CellSpot, start: int, end: int) -> Found | None:
        section = self._section(spot.table_start)
        number = spot.number_from(self._document, section.span[0])
        ref = TableRef(section.under, number if number > 1 else None, DRAFTED)
        cell = Cell(ref, spot.row, spot.column, DRAFTED)
        if not all(_is_label(label) for label in (spot.row, spot.column)) or not spot.named:
            return None
        if (start, end) == spot.span:
            found = find_cell(self._document, cell, hint=False)
            return Found(cell, found.slots[0].text) if isinstance(found, Match) and found.start == start else None
        for text in self._patterns(start, end, spot.span):
            part = replace(cell, pattern=Quote(text, DRAFTED, has_slot=True))
            found = find_cell(self._document, part, hint=False)
            if not isinstance(found, Finding) and _holds(found, start, end):
                return Found(part, found.slots[0].text)
        return None

    def _patterns(self, start: int, end: int, around: tuple[int, int]) -> list[str]:
        """Quotes with the text between two offsets as their slot, the shortest of enough words first."""
        index = self._document.index
        begin, stop = self._spots(start, end)
        last = min(index.spot(max(around[1] - 1, around[0])) + 1, len(index.text))
        low, high = index.trimmed(index.spot(around[0]), last)
        lefts = [index.text[spot:begin] for spot in _begins(index.text, low, begin)]
        rights = [index.text[stop:spot] for spot in _ends(index.text, stop, high)]
        pairs = [(left, right) for left in lefts for right in rights if (left + right).strip()]
        pairs = [(left, right) for left, right in pairs if printable(left + right) == left + right]
        pairs.sort(key=lambda pair: (_bare(pair), sum(map(len, pair))))
        return [f"{escaped(left)}{{}}{escaped(right)}" for left, right in pairs[:_TRIES]]


def under_of(source: Source) -> str | None:
    """The heading that a source names."""
    return source.under if isinstance(source, Quote) else source.table.under


def _labels(heading: Heading) -> Iterator[str]:
    for label in (heading.text, " > ".join((*heading.path, heading.text))):
        if _is_label(label) and label.strip() != FRONT_MATTER:
            yield label


def _is_label(label: str) -> bool:
    return bool(label.strip()) and len(label) <= _LONGEST_LABEL and printable(label) == label


def _holds(match: Match, start: int, end: int) -> bool:
    return len(match.slots) == 1 and (match.slots[0].start, match.slots[0].end) == (start, end)


def _begins(text: str, low: int, at: int) -> Sequence[int]:
    """Where a quote may begin that leads to a spot, the nearest first."""
    floor = max(low, at - _REACH)
    found = [spot for spot in _edges(text, floor, at, ends=False) if spot == low or spot > floor]
    return [at, *reversed(found[-_TOKENS:])]


def _ends(text: str, at: int, high: int) -> Sequence[int]:
    """Where a quote may end that begins at a spot, the nearest first."""
    roof = min(high, at + _REACH)
    found = [spot for spot in _edges(text, at, roof, ends=True) if spot == high or spot < roof]
    return [at, *found[:_TOKENS]]


def _edges(text: str, low: int, high: int, *, ends: bool) -> list[int]:
    """Edges of tokens, and of the characters of scripts that part no words."""
    found = {token.end() if ends else token.start() for token in _TOKEN.finditer(text, low, high)}
    if not text[low:high].isascii():
        unparted = (word for word in WORD.finditer(text, low, high) if word.end() == word.start() + 1)
        found |= {
            word.end() if ends else word.start()
            for word in unparted
            if not word.group().isascii() and _LETTERS.match(word.group() * 2)
        }
    return sorted(found - {low if ends else high})


def _bare(pair: tuple[str, str]) -> bool:
    """Whether a quote has too few words to be told from what may be written later, or goes beyond its sentence."""
    words = _LETTERS.findall(" ".join(pair))
    return len(words) < _WORDS or sum(map(len, words)) < _ENOUGH or any(map(_SENTENCE_ENDS.search, pair))


def escaped(text: str) -> str:
    """The text as a quote has it, its braces doubled."""
    return text.replace("{", "{{").replace("}", "}}")
