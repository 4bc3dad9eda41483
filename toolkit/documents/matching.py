"""Where a pattern stands in a text, without reading the text for each pattern.

A pattern is found by its rarest words. From each spot where they stand it grows to both sides: a slot takes
the shortest text between its neighbours, so between two literals there is no other occurrence of either.
"""

from __future__ import annotations

from collections.abc import Iterator

from toolkit.documents.index import WORD, TextIndex
from toolkit.documents.pattern import Gram, Literal, Pattern, SlotKind
from toolkit.frozen import frozen

LONGEST_SLOT = 200  # characters
_RARE = 2  # spots that are few enough not to look for a rarer word
_FEW = 32  # spots to look at rather than make a table of longer grams
_MOST = 1000  # spots to look at for one pattern
_SCANNED = 2**28  # characters that may be read for patterns without a whole word, all together, and beyond that
_SCANS = 256  # times the length of the text
_GRAM_SIZES = (1, 2, 4)


class TooCommonError(Exception):
    """The pattern's rarest words stand so often that looking at each place would cost too much."""


@frozen
class Bounds:
    """The part of the normal form that is searched."""

    low: int
    high: int


def placements(index: TextIndex, pattern: Pattern, bounds: Bounds) -> Iterator[tuple[int, ...]]:
    """Spots of the pattern's literals, for each time it stands within the bounds, in order.

    Raises TooCommonError after a bounded number of spots at which it might have stood.
    """
    number, anchors = _anchors(index, pattern, bounds)
    for looked, spot in enumerate(anchors):
        if looked == _MOST:
            raise TooCommonError
        index.work += 1
        found = _grown(index.text, pattern, bounds, number, spot)
        if found is not None and _gaps_hold(index, pattern, found):
            yield found


def _anchors(index: TextIndex, pattern: Pattern, bounds: Bounds) -> tuple[int, Iterator[int]]:
    """The literal to begin with, and the spots where it may stand."""
    rarest = _rarest_gram(index, pattern, bounds) if pattern.whole_words else None
    if rarest is None:
        longest = max(range(len(pattern.literals)), key=lambda number: len(pattern.literals[number].text))
        return longest, _scan(index, pattern.literals[longest].text, bounds)
    number, gram = rarest
    spots = index.standing(gram.words, bounds.low, bounds.high)
    return number, (spot - gram.at for spot in spots)


def _rarest_gram(index: TextIndex, pattern: Pattern, bounds: Bounds) -> tuple[int, Gram] | None:
    best: tuple[int, int, Gram] | None = None
    for size in _GRAM_SIZES:
        for number, literal in enumerate(pattern.literals):
            for gram in literal.grams(size):
                count = index.count(gram.words, bounds.low, bounds.high)
                index.work += 1
                if count <= _RARE:
                    return number, gram
                if best is None or count < best[0]:
                    best = (count, number, gram)
        if best is None or best[0] <= _FEW:
            break
    return best and best[1:]


def _scan(index: TextIndex, text: str, bounds: Bounds) -> Iterator[int]:
    spot = bounds.low - 1
    while index.scanned <= _SCANNED + _SCANS * len(index.text):
        begin = spot + 1
        spot = index.text.find(text, begin, bounds.high)
        index.scanned += (bounds.high if spot < 0 else spot) - begin
        if spot < 0:
            return
        yield spot
    raise TooCommonError


def _grown(text: str, pattern: Pattern, bounds: Bounds, number: int, spot: int) -> tuple[int, ...] | None:
    """Spots of all literals when one of them stands at a spot."""
    literals = pattern.literals
    if spot < bounds.low or spot + len(literals[number].text) > bounds.high:
        return None
    if not text.startswith(literals[number].text, spot) or not _edges_hold(text, pattern, literals[number], spot):
        return None
    spots = [spot]
    for right in range(number + 1, len(literals)):
        after = _next(text, pattern, right, spots[-1], bounds.high)
        if after is None or _previous(text, pattern, right - 1, after, bounds.low) != spots[-1]:
            return None
        spots.append(after)
    for left in range(number - 1, -1, -1):
        before = _previous(text, pattern, left, spots[0], bounds.low)
        if before is None or _next(text, pattern, left + 1, before, bounds.high) != spots[0]:
            return None
        spots.insert(0, before)
    return tuple(spots)


def _next(text: str, pattern: Pattern, number: int, previous: int, high: int) -> int | None:
    """The first spot of a literal after the literal before it."""
    literal = pattern.literals[number]
    begin = previous + len(pattern.literals[number - 1].text)
    end = min(high, begin + LONGEST_SLOT + len(literal.text))
    spot = text.find(literal.text, begin + _shortest(pattern, number - 1), end)
    while spot >= 0 and not _edges_hold(text, pattern, literal, spot):
        spot = text.find(literal.text, spot + 1, end)
    return spot if spot >= 0 else None


def _previous(text: str, pattern: Pattern, number: int, following: int, low: int) -> int | None:
    """The last spot of a literal before the literal after it."""
    literal = pattern.literals[number]
    begin = max(low, following - LONGEST_SLOT - len(literal.text))
    end = following - _shortest(pattern, number)
    spot = text.rfind(literal.text, begin, end)
    while spot >= 0 and not _edges_hold(text, pattern, literal, spot):
        spot = text.rfind(literal.text, begin, spot + len(literal.text) - 1)
    return spot if spot >= 0 else None


def _shortest(pattern: Pattern, gap: int) -> int:
    return 1 if pattern.gaps[gap] is SlotKind.VALUE else 0


def _gaps_hold(index: TextIndex, pattern: Pattern, spots: tuple[int, ...]) -> bool:
    """Whether each slot lies within one block and cell, splits no number, and, for a value, holds text."""
    for number, kind in enumerate(pattern.gaps):
        start = spots[number] + len(pattern.literals[number].text)
        end = spots[number + 1]
        if splits_number(index.text, start, end):
            return False
        if kind is SlotKind.VALUE and not index.text[start:end].strip():
            return False
        if index.crosses(start - (index.text[start - 1] == " "), end + (index.text[end] == " ")):
            return False
    return True


def splits_number(text: str, start: int, end: int) -> bool:
    """Whether a slot begins or ends between two digits of a number."""
    if start >= end:
        return False
    left = start > 0 and text[start - 1].isdigit() and text[start].isdigit()
    return left or (end < len(text) and text[end - 1].isdigit() and text[end].isdigit())


def _edges_hold(text: str, pattern: Pattern, literal: Literal, spot: int) -> bool:
    """Whether the outer edges of a literal are not inside a word or a number of the text."""
    if not pattern.whole_words:
        return True
    end = spot + len(literal.text)
    return not (literal.outer_left and _inside_word(text, spot)) and not (
        literal.outer_right and _inside_word(text, end)
    )


def _inside_word(text: str, spot: int) -> bool:
    if spot == 0 or spot >= len(text):
        return False
    around = WORD.match(text[spot - 1 : spot + 1])
    if around is not None and around.end() == 2:
        return True
    return _number_goes_on(text, spot)


def _number_goes_on(text: str, spot: int) -> bool:
    """Whether "1|.5" or "1.|5" stands at a spot."""
    before, after = text[max(0, spot - 2) : spot], text[spot : spot + 2]
    if after[0] in ".,":
        return before[-1].isdigit() and after[1:].isdigit()
    return before[-1] in ".," and before[:-1].isdigit() and after[0].isdigit()
