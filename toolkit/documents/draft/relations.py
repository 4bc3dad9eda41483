"""What claims need beside their quote: the ends of a change, or the card of a statement of fit."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Final

from toolkit.documents.document import Document
from toolkit.documents.draft import words
from toolkit.documents.scan import cues
from toolkit.documents.scan.claim import FoundClaim, ReadPiece
from toolkit.documents.scan.equations import Equation
from toolkit.documents.scan.names import gpus_in
from toolkit.documents.scan.pieces import Kind
from toolkit.facts.gpus import find_gpu
from toolkit.facts.names import UnknownName
from toolkit.quantity import Dimension, Value, find_values, parse_value

_ARROW: Final = re.compile(r"[\s*_`]*(?:→|->|=>|⟶|➜)[\s*_`]*")
_FROM_TO: Final = re.compile(r"[\s*_`]*to[\s*_`]*")
_FROM: Final = re.compile(r"\bfrom[\s*_`]*\Z", re.IGNORECASE)
_ENDS: Final = 2
_NEAR: Final = 60
_LOADS: Final = re.compile(r"\bload(?:s|ed|ing)?\b", re.IGNORECASE)


def ends_of(claim: FoundClaim, read: ReadPiece) -> tuple[Value, Value] | None:
    """The two figures of one kind between which a share of change lies, where its sentence has one such pair."""
    start, end = (place - read.piece.start for place in (claim.start - len(claim.before), claim.end + len(claim.after)))
    inside = [value for value in read.values if start <= value.start and value.end <= end]
    pairs = []
    for one, other in pairwise(inside):
        between = read.text[one.end : other.start]
        joined = _ARROW.fullmatch(between) or (_FROM_TO.fullmatch(between) and _FROM.search(read.text[: one.start]))
        if joined and one.unit.dimension is other.unit.dimension and one.unit.dimension is not Dimension.SHARE:
            pairs.append((one, other))
    others = [value for value in inside if value.unit.dimension in {Dimension.SHARE, Dimension.RATIO}]
    return pairs[0] if len(pairs) == 1 and len(others) == 1 else None


def ends_in_row(document: Document, claim: FoundClaim) -> list[tuple[int, int]]:
    """Where the two amounts stand that a row of a table has beside a share of change; none where it has others."""
    grid, (row, column) = claim.piece.grid, claim.piece.spot
    if grid is None or claim.value is None or claim.value.unit.dimension is not Dimension.SHARE:
        return []
    found = []
    for number, (start, end, _) in enumerate(grid.rows[row]):
        text = document.text[start:end]
        value = parse_value(text, Dimension.BYTES)
        if number != column and value is not None and not gpus_in(text):
            found.append((start, end))
    return found if len(found) == _ENDS else []


def closed(text: str, start: int, end: int) -> int:
    """The end of a piece of a text with the other half of the emphasis that it opens."""
    for run in ("**", "__", "`", "*"):
        if text[start:end].count(run) % 2 and text.startswith(run, end):
            return end + len(run)
    return end


def is_of_memory(read: ReadPiece, equation: Equation) -> bool:
    """Whether arithmetic counts bytes or parameters; a document may hold exercises, too."""
    inside = [value for value in read.values if equation.start <= value.start < equation.end]
    if any(value.unit.dimension is Dimension.BYTES for value in inside):
        return True
    line = read.text[max(0, equation.start - _NEAR) : equation.end + _NEAR]
    return cues.component(line) is not None and not any(value.unit.dimension is Dimension.RATIO for value in inside)


def loads(text: str) -> bool:
    """Whether a sentence speaks of the model once it is loaded."""
    return _LOADS.search(text) is not None


def card_of_mark(document: Document, claim: FoundClaim) -> tuple[int, int] | None:
    """Where the one card stands that a mark of a table answers for: in its column's heading, or its row's label."""
    grid, (row, column) = claim.piece.grid, claim.piece.spot
    if grid is None:
        return None
    labels = [grid.rows[0][column]] if column < len(grid.rows[0]) else []
    spans = [card_in(document, start, end) for start, end, _ in (*labels, grid.rows[row][0])]
    found = [span for span in spans if span is not None]
    return found[0] if len(found) == 1 else None


def card_in(document: Document, start: int, end: int) -> tuple[int, int] | None:
    """Where the one card, or amount that a card has, stands in a piece of the text; None for none or several."""
    text = document.text[start:end]
    named = [(one.start, one.end) for one in gpus_in(text)]
    sizes = [(value.start, value.end) for value in find_values(text) if value.unit.dimension is Dimension.BYTES]
    spans = named or sizes
    if len(spans) != 1 or words.OWN.search(text):
        return None
    low, high = spans[0]
    if named and len(sizes) == 1 and low < sizes[0][0] <= high + 1:
        high = sizes[0][1]  # "A100 80GB"
    return (start + low, start + high) if is_card(text[low:high]) else None


def is_card(text: str) -> bool:
    """Whether a text names a card, or an amount that some card has."""
    return not isinstance(find_gpu(text), UnknownName)


def is_about_fit(claim: FoundClaim, sentence: str) -> str | None:
    """The question about a statement of fit; None where it plainly says that something fits."""
    if claim.mark is not None or claim.piece.kind is Kind.CELL:
        return None
    return "does it fit, or not, or under a condition?" if words.NEGATES.search(sentence) else None
