"""Finds the line that a lost quote may have become."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from toolkit.documents.document import Document
from toolkit.documents.index import WORD
from toolkit.documents.pattern import Pattern
from toolkit.documents.wording import likeness
from toolkit.frozen import frozen

_RAREST = 8  # words and pairs of words to look up
_SPOTS = 50  # of each
_LINES = 20  # lines to compare
_ALIKE = 0.5
_BEFORE = 30  # characters shown before the first shared word


@frozen
class NearLine:
    """A line like a quote: its number, its text near the words that they share, and the offset of the first of them."""

    number: int
    text: str
    shared: int


def nearest_line(document: Document, pattern: Pattern, section: tuple[int, int]) -> NearLine | None:
    """The line most like a quote, of those that share its rarest words.

    The cost is bounded: however long the document, at most 20 lines are compared.
    """
    grams = _grams(pattern)
    hits, first = _hits(document, grams, section)
    ranked = sorted(hits, key=lambda line: (-hits[line], line))[:_LINES]
    if not ranked:
        return None
    text = " … ".join(literal.text.strip() for literal in pattern.literals)
    alike = {line: likeness(text, document.line_text(line + 1).strip()) for line in ranked}
    looked_up = min(len(grams), _RAREST)
    # A short line is like a short quote by its length alone, and a long one holds its words without being like it.
    best = max(ranked, key=lambda line: (alike[line] + hits[line] / looked_up, -line))
    if alike[best] < _ALIKE and 2 * hits[best] < looked_up:
        return None
    start, end = document.lines.span(best)
    begin = start if first[best] - start <= _BEFORE else first[best] - _BEFORE
    return NearLine(best + 1, document.text[begin:end], first[best])


def _grams(pattern: Pattern) -> set[tuple[str, ...]]:
    """The quote's words and pairs of words."""
    grams: set[tuple[str, ...]] = set()
    for literal in pattern.literals:
        words = WORD.findall(literal.text)
        grams.update((word,) for word in words)
        grams.update(pairwise(words))
    return grams


def _hits(
    document: Document, grams: set[tuple[str, ...]], section: tuple[int, int]
) -> tuple[Counter[int], dict[int, int]]:
    """How many of the rarest grams each line holds, and the offset of the first of them in it."""
    index = document.index
    low, high = (index.spot(offset) for offset in section)
    counted = sorted((index.count(gram, low, high), gram) for gram in grams)
    hits: Counter[int] = Counter()
    first: dict[int, int] = {}
    for gram in [gram for count, gram in counted if count][:_RAREST]:
        offsets = [index.offset(spot) for spot in index.standing(gram, low, high)[:_SPOTS]]
        for offset in reversed(offsets):
            line = document.lines.at(offset)
            first[line] = min(offset, first.get(line, offset))
        hits.update({document.lines.at(offset) for offset in offsets})
    return hits, first
