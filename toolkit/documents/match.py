"""A quote found: what its slots hold, and its offsets in the document."""

from __future__ import annotations

import re

from toolkit.documents.document import Document
from toolkit.documents.matching import LONGEST_SLOT, Bounds, placements, splits_number
from toolkit.documents.pattern import Pattern, SlotKind
from toolkit.frozen import frozen

_LINE_MARKERS = re.compile(r"[ \t]*(?:(?:[-+*]|\d{1,9}[.)])[ \t]+)*(?:\[[ xX]\][ \t]+)?(?:#{1,6}[ \t]+)?")


@frozen
class Slot:
    """What stands in a slot: its text with white space made single, and its offsets in the document."""

    text: str
    start: int
    end: int


@frozen
class Match:
    """A quote in a document: offsets, slots that hold values, and the text with white space made single."""

    start: int
    end: int
    slots: tuple[Slot, ...]
    quote_text: str


def find_matches(document: Document, pattern: Pattern, section: tuple[int, int], most: int) -> list[Match]:
    """The first places of a pattern between two offsets, in order."""
    bounds = Bounds(*(document.index.spot(offset) for offset in section))
    found: list[Match] = []
    for spots in placements(document.index, pattern, bounds):
        match = make_match(document, pattern, bounds, spots)
        if match is not None:
            found.append(match)
            if len(found) == most:
                break
    return found


def make_match(document: Document, pattern: Pattern, bounds: Bounds, spots: tuple[int, ...]) -> Match | None:
    """The match whose literals stand at these spots; None when a slot at one of its ends holds nothing.

    A slot at an end of the quote reaches to that end of the line, of the block or of the cell, whichever is
    nearest, and is cut at 200 characters. A list, heading or block quote marker is not part of it.
    """
    text = document.index.text
    begin, end = spots[0], spots[-1] + len(pattern.literals[-1].text)
    slots = [
        (kind, spots[number] + len(pattern.literals[number].text), spots[number + 1])
        for number, kind in enumerate(pattern.gaps)
    ]
    if pattern.leading:
        low = _line_begin(document, begin, bounds)
        if splits_number(text, low, begin):
            return None
        slots.insert(0, (pattern.leading, low, begin))
        begin = low
    if pattern.trailing:
        high = _line_end(document, end, bounds)
        if splits_number(text, end, high):
            return None
        slots.append((pattern.trailing, end, high))
        end = high
    return _made(document, slots, document.index.trimmed(begin, end))


def _made(document: Document, slots: list[tuple[SlotKind, int, int]], around: tuple[int, int]) -> Match | None:
    index = document.index
    values = [index.trimmed(start, end) for kind, start, end in slots if kind is SlotKind.VALUE]
    if any(start >= end for start, end in values):
        return None
    held = tuple(Slot(index.text[start:end], *index.offsets(start, end)) for start, end in values)
    return Match(*index.offsets(*around), held, index.text[slice(*around)])


def _line_begin(document: Document, spot: int, bounds: Bounds) -> int:
    """Where a slot begins that ends at a spot and has nothing before it."""
    index = document.index
    if spot == 0 or (index.text[spot] == " " and index.crosses(spot, spot + 1)):
        return spot
    last = spot - 1 if index.text[spot - 1] != " " else spot - 2
    line = document.lines.at(index.offset(last))
    start, end = document.lines.span(line)
    markers = None if line in document.structure.verbatim else _LINE_MARKERS.match(document.unquoted, start, end)
    begin = index.spot(markers.end() if markers else start)
    return min(spot, max(begin, index.block(spot)[0], bounds.low, spot - LONGEST_SLOT))


def _line_end(document: Document, spot: int, bounds: Bounds) -> int:
    """Where a slot ends that begins at a spot and has nothing after it."""
    index = document.index
    if spot >= len(index.text) or (index.text[spot - 1] == " " and index.crosses(spot - 1, spot)):
        return spot
    first = spot + (index.text[spot] == " ")
    line = document.lines.at(index.offset(first))
    end = index.spot(document.lines.span(line)[1])
    return max(spot, min(end, index.block(spot)[1], bounds.high, spot + LONGEST_SLOT))
