"""Finds the figures of a document that state something about memory."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import Final, NamedTuple

from toolkit.documents.document import Document
from toolkit.documents.scan.claim import FoundClaim, ReadPiece, Scanned
from toolkit.documents.scan.context import context
from toolkit.documents.scan.equations import equations, is_bytes, operands
from toolkit.documents.scan.kinds import Around, quantity_of
from toolkit.documents.scan.marks import mark_of
from toolkit.documents.scan.mend import read_through
from toolkit.documents.scan.names import gpus_in
from toolkit.documents.scan.pieces import Kind, Piece, pieces, text_of
from toolkit.documents.scan.values import cell_value, values_in
from toolkit.documents.scan.visible import visible
from toolkit.quantity import Value

_STOP: Final = re.compile(r"[.!?;](?=\s)|[。；！？]|\n[ \t]*(?=\n)|[ \t]{2}\n(?!\s*[=≈])|\|")
_MEMORY: Final = re.compile(
    r"v-?ram|gpu memory|gpu ram|memory requirements?|memory usage|显存|out of memory", re.IGNORECASE
)
_OFTEN: Final = 2
_LOOKED_AT: Final = 200_000
_PARAGRAPH: Final = 600
_MOST_VALUES: Final = 400
_LONGEST_PIECE: Final = 20_000
"""Figures and characters of one paragraph or cell that are looked at: what has more is data, and states nothing."""

_REACH: Final = 160
"""How far the words of a figure are looked for to each side: what keeps a document without full stops linear."""


def scan(document: Document) -> Scanned:
    """Every figure of a document that states something about memory, in order, with what is said around it."""
    text, steps = read_through(document.text)
    meant = Document(document.path, text)
    shown = visible(meant.unquoted)
    read = [_read(piece, shown) for piece in pieces(meant, shown)]
    theme = _Theme(meant.headings[0].text if meant.headings else "", len(_MEMORY.findall(shown[:_LOOKED_AT])) >= _OFTEN)
    claims = sorted(
        (claim for one in read for claim in _claims(one, theme)), key=lambda claim: (claim.start, claim.end)
    )
    return Scanned(document, meant, steps, tuple(read), tuple(claims))


class _Theme(NamedTuple):
    """A document's title, and whether it speaks of memory often."""

    title: str
    memory: bool


def _read(piece: Piece, shown: str) -> ReadPiece:
    text = text_of(piece, shown)[:_LONGEST_PIECE]
    values = values_in(text)[:_MOST_VALUES] if any(map(str.isdigit, text)) else []
    return ReadPiece(piece, text, tuple(values), tuple(equations(text, values)))


def _claims(read: ReadPiece, theme: _Theme) -> Iterator[FoundClaim]:
    piece, text = read.piece, read.text
    if piece.kind is Kind.CELL and (mark := mark_of(piece, text)) is not None:
        near = context((piece.row, piece.column, *piece.headings))
        yield FoundClaim(piece.start, piece.end, "fits", piece, text.strip(), "", mark=mark, context=near)
        return
    if piece.kind is Kind.CELL and not piece.spot[0] and not gpus_in(text):
        return  # a heading says what its column is about
    values = list(read.values)
    if piece.kind is Kind.CELL and piece.spot[0] and (whole := cell_value(text, piece.column)) is not None:
        values = [whole]
    terms = operands(values, list(read.equations))
    stops = [stop.end() for stop in _STOP.finditer(text)]
    for position, value in enumerate(values):
        if value.start in terms and not is_bytes(value):
            continue
        around = _around(read, values, position, stops, theme)
        quantity = quantity_of(value, around)
        if quantity is not None:
            yield _found(read, value, quantity, around)


def _around(read: ReadPiece, values: list[Value], position: int, stops: list[int], theme: _Theme) -> Around:
    value, text, piece = values[position], read.text, read.piece
    at = bisect_right(stops, value.start)
    start = max(stops[at - 1] if at else 0, value.start - _REACH)
    following = bisect_left(stops, value.end)
    end = min(stops[following] if following < len(stops) else len(text), value.end + _REACH)
    return Around(
        before=text[start : value.start],
        after=text[value.end : max(end, value.end)],
        row=piece.row,
        column=piece.column,
        headings=piece.headings,
        lead=piece.lead,
        title=theme.title,
        paragraph=text[max(0, start - _PARAGRAPH) : start],
        themed=theme.memory,
        kind=piece.kind,
    )


def _found(read: ReadPiece, value: Value, quantity: str, around: Around) -> FoundClaim:
    piece = read.piece
    texts = (around.before + value.text + around.after, piece.row, piece.column, *piece.headings, piece.lead)
    start, end = piece.start + value.start, piece.start + value.end
    return FoundClaim(start, end, quantity, piece, around.before, around.after, value, context=context(texts))
