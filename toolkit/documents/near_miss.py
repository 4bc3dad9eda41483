"""Finds the sentence that a lost quote may have become, by aligning its words with those of the document."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from operator import itemgetter

from toolkit.documents.document import Document
from toolkit.documents.pattern import Pattern
from toolkit.documents.reworded import Reworded, Span, written_anew
from toolkit.frozen import frozen

_TOKEN = re.compile(r"[^\W_]+(?:[.,][0-9]+)*|\S")
_MOST_WORDS = 60  # of a quote
_MOST_AROUND = 160  # words of the document that are set beside it
_REACH = 600  # characters to each side in which they are looked for
_OTHER, _LACKS, _EXTRA = 1.0, 1.0, 0.5  # cost of one word for another, of one that lacks, of one more
_OTHER_KIND = 2.0  # cost of a sign for a word
_VALUE, _NO_VALUE, _MORE = 0.1, 0.8, 0.15  # cost of the first word of a slot, with and without a digit, and of others
_ALIKE = 0.6  # cost per word of the quote up to which two sentences are alike


@frozen
class _Word:
    text: str
    start: int
    end: int


_SLOT = None
_Wanted = str | None
"""A word of the quote, or a slot between two of its literals."""


def near_miss(document: Document, pattern: Pattern, quote: str, anchor: int, section: Span) -> Reworded | None:
    """The quote in the words that stand around an offset; None where they are not like it, or stand twice."""
    wanted = _wanted(pattern)
    words = list(_words_around(document, anchor))
    if not words or len(wanted) > _MOST_WORDS or not any(word is not _SLOT for word in wanted):
        return None
    cost, steps = _cheapest(wanted, words)
    if cost > _ALIKE * sum(word is not _SLOT for word in wanted):
        return None
    literals = _literals(wanted, words, steps)
    return written_anew(document, quote, literals, section) if literals else None


def _wanted(pattern: Pattern) -> list[_Wanted]:
    wanted: list[_Wanted] = []
    for number, literal in enumerate(pattern.literals):
        wanted += [_SLOT] * bool(number) + _TOKEN.findall(literal.text)
    return wanted


def _words_around(document: Document, anchor: int) -> Iterator[_Word]:
    """The words of the block and the line around an offset, those nearest to it if there are many."""
    index = document.index
    low, high = index.block(index.spot(anchor))
    start, end = document.lines.span(document.lines.at(anchor))
    start = max(anchor - _REACH, min(start, index.offset(low)))
    end = min(anchor + _REACH, max(end, index.offset(max(low, high - 1)) + 1))
    found = [_Word(word.group(), *word.span()) for word in _TOKEN.finditer(document.unquoted, start, end)]
    at = sum(word.start < anchor for word in found)
    first = max(0, min(at - _MOST_AROUND // 2, len(found) - _MOST_AROUND))
    yield from found[first : first + _MOST_AROUND]


def _cheapest(wanted: Sequence[_Wanted], words: Sequence[_Word]) -> tuple[float, list[tuple[int, int]]]:
    """The least cost of turning the wanted words into a run of those that stand there, and the cells on that way.

    A cell (i, j) says that the first i wanted words are spoken for by words up to j. The run begins and ends
    where it is cheapest (semi-global alignment: Sellers, 1980).
    """
    rows = [[0.0] * (len(words) + 1)]
    back: list[list[int]] = [[0] * (len(words) + 1)]
    for asked in wanted:
        row, moves = _row(asked, rows[-1], words)
        rows.append(row)
        back.append(moves)
    last = min(range(len(words), -1, -1), key=rows[-1].__getitem__)
    cell, steps = (len(wanted), last), [(len(wanted), last)]
    while cell[0]:
        up, left = divmod(back[cell[0]][cell[1]], 2)
        cell = (cell[0] - up, cell[1] - left)
        steps.append(cell)
    return rows[-1][last], steps[::-1]


def _row(asked: _Wanted, above: Sequence[float], words: Sequence[_Word]) -> tuple[list[float], list[int]]:
    """Costs of one wanted word at each word, and how each was come by: 2 up, 1 left, 3 both."""
    costs, moves = [above[0] + _LACKS], [2]
    for at, word in enumerate(words):
        if asked is _SLOT:
            taken = above[at] + (_VALUE if any(map(str.isdigit, word.text)) else _NO_VALUE)
            more = _MORE
        else:
            taken = above[at] + _change(asked, word.text)
            more = _EXTRA
        ways = ((taken, 3), (above[at + 1] + _LACKS, 2), (costs[-1] + more, 1))
        cost, move = min(ways, key=itemgetter(0))
        costs.append(cost)
        moves.append(move)
    return costs, moves


def _change(asked: str, found: str) -> float:
    if asked == found:
        return 0
    return _OTHER if asked[0].isalnum() == found[0].isalnum() else _OTHER_KIND


def _literals(wanted: Sequence[_Wanted], words: Sequence[_Word], steps: Sequence[tuple[int, int]]) -> list[Span] | None:
    """Where the literals between the slots stand; None where one of them is gone, or a slot holds nothing."""
    found: list[Span] = []
    spans: list[_Word] = []
    for (row, column), (below, right) in pairwise(steps):
        asked = wanted[below - 1]
        if asked is _SLOT and below > row:
            if not spans or right == column:
                return None
            found.append((spans[0].start, spans[-1].end))
            spans = []
        elif asked is not _SLOT and right > column:
            spans.append(words[column])
    return [*found, (spans[0].start, spans[-1].end)] if spans else None
