"""Finds the figures of a document that state something about memory."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import Final, NamedTuple

from toolkit.documents.document import Document
from toolkit.documents.scan.around import Around
from toolkit.documents.scan.claim import FoundClaim, ReadPiece, Scanned
from toolkit.documents.scan.context import context
from toolkit.documents.scan.cues import component, has_words, speaks_of_memory
from toolkit.documents.scan.data import labels_data
from toolkit.documents.scan.equations import equations, is_bytes, operands
from toolkit.documents.scan.kinds import quantity_of
from toolkit.documents.scan.marks import mark_of
from toolkit.documents.scan.mend import read_through
from toolkit.documents.scan.names import gpus_in
from toolkit.documents.scan.parameters import counts_parameters
from toolkit.documents.scan.pieces import Kind, Piece, pieces, text_of
from toolkit.documents.scan.values import bare_cell, cell_value, values_in
from toolkit.documents.scan.visible import visible
from toolkit.quantity import Dimension, Value

_STOP: Final = re.compile(r"[.!?;](?=\s)|[。；！？]|\n[ \t]*(?=\n)|[ \t]{2}\n(?!\s*[=≈])|\|")
_MEMORY: Final = re.compile(
    r"v-?ram|gpu[- ](?:memory|ram|mem)|memory (?:requirements?|usage|footprint|consumption)|显存|内存占用|out of memory"
    r"|gpu-?speicher|grafikspeicher|mémoire (?:gpu|vidéo)|memoria (?:de )?(?:la )?gpu|memória (?:de |da )?gpu"
    r"|видеопамят"
    r"|gpu ?メモリ|メモリ(?:使用|消費|フット)",
    re.IGNORECASE,
)
_OFTEN: Final = 2
_LOOKED_AT: Final = 200_000
_PARAGRAPH: Final = 600
_COUNTS: Final = frozenset({Dimension.COUNT, Dimension.NUMBER})
_LONGEST_HEADING: Final = 200
_REACH: Final = 160
"""How far the words of a figure are looked for to each side: what keeps a document without full stops linear."""

_MANY: Final = 64
_NEAREST: Final = 40
"""Figures of a piece from which the words of each are looked for no farther than to some figures around it."""


def scan(document: Document) -> Scanned:
    """Every figure of a document that states something about memory, in order, with what is said around it."""
    text, steps = read_through(document.text)
    meant = Document(document.path, text)
    shown = visible(meant.unquoted)
    read = [_read(piece, shown) for piece in pieces(meant, shown)]
    theme = _Theme(meant.headings[0].text if meant.headings else "", len(_MEMORY.findall(shown[:_LOOKED_AT])) >= _OFTEN)
    found = {(claim.start, claim.end): claim for one in read for claim in _claims(one, theme)}
    claims = [found[spot] for spot in sorted(found)]  # each once, where tables of both kinds overlap
    return Scanned(document, meant, steps, tuple(read), tuple(claims))


class _Theme(NamedTuple):
    """A document's title, and whether it speaks of memory often."""

    title: str
    memory: bool


def _read(piece: Piece, shown: str) -> ReadPiece:
    text = text_of(piece, shown)
    values = values_in(text) if any(map(str.isdigit, text)) else []
    return ReadPiece(piece, text, tuple(values), tuple(equations(text, values)))


def _claims(read: ReadPiece, theme: _Theme) -> Iterator[FoundClaim]:
    piece, text = read.piece, read.text
    if piece.kind is Kind.CELL and (mark := mark_of(piece, text)) is not None:
        near = context((piece.row, piece.column, *piece.headings))
        yield FoundClaim(piece.start, piece.end, "fits", piece, text.strip(), "", mark=mark, context=near)
        return
    if piece.kind is Kind.CELL and not piece.spot[0] and len(text) <= _LONGEST_HEADING and not gpus_in(text):
        return  # a heading says what its column is about
    values = list(read.values)
    if piece.kind is Kind.CELL and piece.spot[0]:
        values = _in_cell(piece, text, values)
    if not values:
        return
    if piece.kind is not Kind.CELL:
        values = _worth_reading(read, values, theme)
    terms = operands(values, list(read.equations))
    stops = [stop.end() for stop in _STOP.finditer(text)]
    for position, value in enumerate(values):
        if value.start in terms and not is_bytes(value):
            continue
        around = _around(read, values, position, stops, theme)
        quantity = quantity_of(value, around)
        if quantity is not None:
            yield _found(read, value, quantity, around)


def _worth_reading(read: ReadPiece, values: list[Value], theme: _Theme) -> list[Value]:
    """The values of a piece that its words may say something of: a text of figures alone says nothing of them."""
    if not counts_parameters(read.text):
        values = [value for value in values if value.unit.dimension not in _COUNTS]
    if has_words(read.text) or theme.memory or not values or gpus_in(read.text):
        return values
    piece = read.piece
    over = (piece.lead, piece.intro, theme.title, *piece.headings)
    return values if any(map(speaks_of_memory, over)) else []


def _in_cell(piece: Piece, text: str, values: list[Value]) -> list[Value]:
    """The values of a cell, with the unit that its column gives, or that its table lets one read from a bare letter."""
    whole = cell_value(text, piece.column)
    if whole is not None:
        return [whole]
    on_disk = component(f"{piece.column} {piece.row}") == "disk"
    if any(map(is_bytes, values)) or (labels_data(piece.column) and not on_disk):
        return values
    if not on_disk and not any(map(speaks_of_memory, (piece.column, piece.row, piece.intro, *piece.headings[:1]))):
        return values
    cut = bare_cell(text)
    return values if cut is None else [cut, *(value for value in values if value.start >= cut.end)]


def _around(read: ReadPiece, values: list[Value], position: int, stops: list[int], theme: _Theme) -> Around:
    value, text, piece = values[position], read.text, read.piece
    at = bisect_right(stops, value.start)
    reach = _REACH if len(values) < _MANY else max(_NEAREST, min(_REACH, 4 * len(text) // len(values)))
    start = max(stops[at - 1] if at else 0, value.start - reach)
    following = bisect_left(stops, value.end)
    end = min(stops[following] if following < len(stops) else len(text), value.end + reach)
    return Around(
        before=text[start : value.start],
        after=text[value.end : max(end, value.end)],
        row=piece.row,
        column=piece.column,
        headings=piece.headings,
        lead=piece.lead,
        title=theme.title,
        paragraph=text[max(0, start - _PARAGRAPH * reach // _REACH) : start],
        themed=theme.memory,
        kind=piece.kind,
        intro=piece.intro,
        item=piece.item,
    )


def _found(read: ReadPiece, value: Value, quantity: str, around: Around) -> FoundClaim:
    piece = read.piece
    texts = (around.before + value.text + around.after, piece.row, piece.column, *piece.headings, piece.lead)
    start, end = piece.start + value.start, piece.start + value.end
    return FoundClaim(start, end, quantity, piece, around.before, around.after, value, context=context(texts))
