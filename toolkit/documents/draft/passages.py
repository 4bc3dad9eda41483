"""The passages from which the situation of a figure is read: its sentence, its labels, headings and leads."""

from __future__ import annotations

from bisect import bisect_right
from enum import IntEnum
from typing import Final

from toolkit.documents.document import Document
from toolkit.documents.scan.claim import FoundClaim
from toolkit.documents.scan.pieces import Kind
from toolkit.frozen import frozen

_LEAD: Final = 400
_PAGE: Final = 2_000
_LONGEST: Final = 600
_PARAGRAPH: Final = 600


class Level(IntEnum):
    """How close to a figure something is stated: with it, above it, near it, or by the document as a whole."""

    OWN = 0
    ABOVE = 1
    WHOLE = 2


@frozen
class Passage:
    """A piece of the text as it was meant, and its offset in it."""

    text: str
    start: int


@frozen
class Passages:
    """What stands around one figure.

    `own` are its sentence and labels. `above` are headings, and the paragraph that leads to it with a colon, the
    nearest first. `near` is what else stands before it in its paragraph, and the paragraph before: it may be about it.
    `figure` is the figure itself, `section` the offsets of the innermost section.
    """

    own: tuple[Passage, ...]
    above: tuple[Passage, ...]
    near: str
    figure: str
    section: tuple[int, int]

    @property
    def own_text(self) -> str:
        """The words of the figure itself and its labels."""
        return "\n".join(passage.text for passage in self.own)

    @property
    def sentence(self) -> str:
        """The words of the figure itself."""
        return self.own[0].text


def passages(document: Document, claim: FoundClaim) -> Passages:
    """The texts around a figure of a document as it was meant."""
    piece = claim.piece
    start, end = claim.start, claim.end
    if claim.mark is None:
        start, end = start - len(claim.before), end + len(claim.after)
    own = [Passage(document.text[start:end], start)]
    if piece.grid is not None:
        row, column = piece.spot
        labels = [piece.grid.rows[row][0]] if column else []
        labels += [piece.grid.rows[0][column]] if row and column < len(piece.grid.rows[0]) else []
        own += [Passage(document.text[start:end][:_LONGEST], start) for start, end, _ in labels]
    lead = piece.lead.strip()
    above = [_lead(document, piece.lead, piece.start)] if lead.endswith((":", "：")) else []
    before = "" if piece.kind is Kind.CELL else document.text[piece.start : own[0].start][-_PARAGRAPH:]
    near = f"{piece.lead[-_LEAD:]}\n{before}"
    figure = claim.value.text if claim.value else ""
    section = _section(document, claim.start)
    return Passages(tuple(own), (*above, *_headings(document, claim.start)), near, figure, section)


def _section(document: Document, offset: int) -> tuple[int, int]:
    """The innermost section around an offset; without headings, what stands within a page of it."""
    number = bisect_right(document.headings, offset, key=lambda heading: heading.start) - 1
    if number < 0:
        return offset - _PAGE, offset + _PAGE
    return document.headings[number].start, document.headings[number].section_end


def _lead(document: Document, lead: str, before: int) -> Passage:
    at = document.text.rfind(lead.strip()[-60:], 0, before)
    return Passage(lead[-_LEAD:], max(0, at))


def _headings(document: Document, offset: int) -> list[Passage]:
    """The headings around an offset, the innermost first."""
    number = bisect_right(document.headings, offset, key=lambda heading: heading.start) - 1
    found: list[Passage] = []
    if number < 0:
        return found
    innermost = document.headings[number]
    wanted = [innermost.text, *reversed(innermost.path)]
    for heading in reversed(document.headings[: number + 1]):
        if wanted and heading.text == wanted[0] and heading.section_end > offset:
            found.append(Passage(document.text[heading.start : heading.end][:_LONGEST], heading.start))
            wanted.pop(0)
        if not wanted:
            break
    return found
