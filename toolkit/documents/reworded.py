"""Finds what a lost quote reads now: the same sentence in other typography, or the most similar one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice, pairwise

from toolkit.documents.document import Document
from toolkit.documents.folded import folded
from toolkit.documents.match import find_matches
from toolkit.documents.matching import Bounds, TooCommonError, placements
from toolkit.documents.pattern import Pattern, make_pattern, slot_texts
from toolkit.frozen import frozen
from toolkit.spec.pattern import PatternError

LONGEST = 1000
"""The most characters of a rewritten quote."""

_LOOKED_AT = 20  # places in other typography

Span = tuple[int, int]


@frozen
class Reworded:
    """A quote as the document has it now: the text for the spec, and its offsets in the document."""

    text: str
    start: int
    end: int


def other_typography(document: Document, quote: str, section: Span) -> Reworded | None:
    """The one place that says the same but for white space and typography; None where none or several do."""
    asked, plain = make_pattern(quote), make_pattern(folded(quote, quote=True).text)
    if isinstance(asked, PatternError) or isinstance(plain, PatternError) or len(quote) > LONGEST:
        return None
    if not _same_shape(asked, plain):
        return None
    index = document.folded.index
    try:
        found = list(islice(placements(index, plain, Bounds(0, len(index.text))), _LOOKED_AT))
    except TooCommonError:
        return None
    places = []
    for spots in found:
        literals = [
            _unfolded(document, spot, spot + len(literal.text))
            for spot, literal in zip(spots, plain.literals, strict=True)
        ]
        if section[0] <= literals[0][0] and literals[-1][1] <= section[1]:
            places.append(literals)
    return written_anew(document, quote, places[0], section) if len(places) == 1 and len(found) < _LOOKED_AT else None


def _unfolded(document: Document, start: int, end: int) -> Span:
    """Offsets of the document's text for a piece of the folded one, given by its spots there."""
    index, origin = document.folded.index, document.folded_from.origin
    last = index.offset(end - 1)
    letter = document.folded.text[last]
    stop = origin(last)
    # A character that was folded to others, or to a space, ends where the next begins.
    stop = stop + 1 if document.text[stop] == letter and not letter.isspace() else origin(last + 1)
    return origin(index.offset(start)), stop


def written_anew(document: Document, quote: str, literals: Sequence[Span], section: Span) -> Reworded | None:
    """A quote in the document's words, given where its literals stand; None where that would not bind to one place.

    Marks of emphasis around a value go to the literals beside it: they are no part of the value.
    """
    asked = make_pattern(quote)
    if isinstance(asked, PatternError):
        return None
    edges = _edges(document.unquoted, literals)
    slots = iter(slot_texts(quote))
    pieces = [_escaped(document.unquoted[start:stop]) for start, stop in edges]
    pieces[0] = " " * asked.literals[0].text.startswith(" ") + pieces[0].lstrip()
    pieces[-1] = pieces[-1].rstrip() + " " * asked.literals[-1].text.endswith(" ")
    words = [next(slots)] if asked.leading else []
    for number, piece in enumerate(pieces):
        words += [next(slots), piece] if number else [piece]
    words += slots  # the last one, where the quote ends with it
    anew = "".join(words)
    return Reworded(anew, edges[0][0], edges[-1][1]) if stands_once(document, anew, section) else None


def stands_once(document: Document, quote: str, section: Span) -> bool:
    """Whether a quote binds to one place of a section and no other."""
    pattern = make_pattern(quote)
    try:
        return isinstance(pattern, Pattern) and len(find_matches(document, pattern, section, 2)) == 1
    except TooCommonError:
        return False


def _edges(text: str, literals: Sequence[Span]) -> list[Span]:
    """The literals, each with what joins it to the values beside it."""
    edges: list[Span] = []
    start, end = _with_marks(text, literals[0][0], literals[-1][1])
    for (_, stop), (following, _) in pairwise(literals):
        low, high = stop, following
        while low < high and _joins(text[low]):
            low += 1
        while high > low and _joins(text[high - 1]):
            high -= 1
        edges.append((start, low))
        start = high
    return [*edges, (start, end)]


def _with_marks(text: str, start: int, end: int) -> Span:
    """A span with the mark of emphasis before or after it whose other half it holds."""
    for run in (r"\*+", "_+", "`+"):
        if len(re.findall(run, text[start:end])) % 2:
            before, after = (
                re.search(f"(?:{run})$", text[max(0, start - 3) : start]),
                re.match(run, text[end : end + 3]),
            )
            start -= len(before.group()) if before else 0
            end += len(after.group()) if after and not before else 0
    return start, end


def _joins(letter: str) -> bool:
    return letter.isspace() or letter in "*_`"


def _escaped(text: str) -> str:
    """A piece of the document as a quote writes it: on one line, its braces doubled."""
    inner = " ".join(text.split()).replace("{", "{{").replace("}", "}}")
    if not inner:
        return " " * bool(text)
    return f"{' ' * text[0].isspace()}{inner}{' ' * text[-1].isspace()}"


def _same_shape(asked: Pattern, plain: Pattern) -> bool:
    """Whether folding left the slots of a quote, and words between them."""
    if (asked.gaps, asked.leading, asked.trailing) != (plain.gaps, plain.leading, plain.trailing):
        return False
    return all(literal.text.strip() for literal in plain.literals)
