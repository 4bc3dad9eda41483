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
from toolkit.documents.scan.cues import component, has_words, says_size, speaks_of_memory
from toolkit.documents.scan.data import labels_data
from toolkit.documents.scan.equations import is_bytes, operands
from toolkit.documents.scan.kinds import quantity_of
from toolkit.documents.scan.marks import mark_of
from toolkit.documents.scan.mend import read_through
from toolkit.documents.scan.names import gpus_in
from toolkit.documents.scan.parameters import counts_parameters, labels_parameters
from toolkit.documents.scan.pieces import Kind, Piece, pieces, text_of
from toolkit.documents.scan.unnamed import about_models
from toolkit.documents.scan.values import bare_cell, cell_value
from toolkit.documents.scan.visible import visible
from toolkit.quantity import Dimension, Value, parse_value

_STOP: Final = re.compile(
    r"(?<!\be\.g)(?<!\bi\.e)(?<!\b[pz])(?<!\bvs)\.(?=\s)|[!?;](?=\s)|[。；！？]|\n[ \t]*(?=\n)|[ \t]{2}\n(?!\s*[=≈])|\|"
)
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
_UNIT: Final = re.compile(r"[A-Za-zµμ%×\u0400-\uffff]")
"""A sign of which a unit is made: bare numbers state nothing by themselves."""

_GIGA: Final = re.compile(r"[\s*_`~≈]*[0-9.]{1,6} ?G(?![A-Za-z])")
_BYTES: Final = re.compile(r"[0-9] ?(?:[KMGT]i?[Bb]?|bytes)\b")
_ROWS: Final = 40
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
    read = [ReadPiece(piece, text_of(piece, shown)) for piece in pieces(meant, shown)]
    often = len(_MEMORY.findall(shown[:_LOOKED_AT])) >= _OFTEN
    theme = _Theme(meant.headings[0].text if meant.headings else "", often, about_models(shown))
    found = {(claim.start, claim.end): claim for one in read for claim in _claims(one, theme)}
    claims = [found[spot] for spot in sorted(found)]  # each once, where tables of both kinds overlap
    return Scanned(document, meant, steps, tuple(read), tuple(claims))


class _Theme(NamedTuple):
    """A document's title, and whether it speaks of memory often, and of models."""

    title: str
    memory: bool
    models: bool


def _claims(read: ReadPiece, theme: _Theme) -> Iterator[FoundClaim]:
    piece, text = read.piece, read.text
    if piece.kind is Kind.CELL and (mark := mark_of(piece, text)) is not None:
        near = context((piece.row, piece.column, *piece.headings))
        yield FoundClaim(piece.start, piece.end, "fits", piece, text.strip(), "", mark=mark, context=near)
        return
    if piece.kind is Kind.CELL and not piece.spot[0] and len(text) <= _LONGEST_HEADING and not gpus_in(text):
        return  # a heading says what its column is about
    values = _worth_reading(read, theme)
    if not values:
        return
    terms = operands(values, list(read.equations))
    stops = [stop.end() for stop in _STOP.finditer(text)]
    for position, value in enumerate(values):
        if value.start in terms and not is_bytes(value):
            continue
        around = _around(read, values, position, stops, theme)
        quantity = quantity_of(value, around)
        if quantity is not None:
            yield _found(read, value, quantity, around)


def _worth_reading(read: ReadPiece, theme: _Theme) -> list[Value]:
    """The values of a piece that its words may say something of: a text of figures alone says nothing of them."""
    piece = read.piece
    if piece.kind is Kind.CELL:
        return _in_cell(piece, read.text, list(read.values)) if piece.spot[0] else list(read.values)
    if not _UNIT.search(read.text):
        return []
    over = (piece.lead, piece.intro, theme.title, *piece.headings)
    said = (
        theme.memory or theme.models or has_words(read.text) or gpus_in(read.text) or any(map(speaks_of_memory, over))
    )
    if not said:
        return []
    if counts_parameters(read.text):
        return list(read.values)
    return [value for value in read.values if value.unit.dimension is not Dimension.NUMBER]


def _in_cell(piece: Piece, text: str, values: list[Value]) -> list[Value]:
    """The values of a cell, with the unit that its column gives, or that its table lets one read from a bare letter."""
    whole = cell_value(text, piece.column) or (cell_value(text, piece.row) if _of_row(piece) else None)
    if whole is not None:
        return [whole]
    if labels_parameters(piece.column) and (count := parse_value(text, Dimension.COUNT)) is not None:
        return [count]
    on_disk = component(f"{piece.column} {piece.row}") == "disk"
    if any(map(is_bytes, values)) or (labels_data(piece.column) and not on_disk):
        return values
    over = (piece.column, piece.row, piece.intro, *piece.headings[:1])
    if not on_disk and not any(map(speaks_of_memory, over)) and not _lists_sizes(piece):
        return values
    cut = bare_cell(text)
    return values if cut is None else [cut, *(value for value in values if value.start >= cut.end)]


def _of_row(piece: Piece) -> bool:
    """Whether a row says of which part of memory its cells are, and may so give them its unit: "Memory (MB)"."""
    return bool(piece.row) and (component(piece.row) is not None or labels_parameters(piece.row))


def _lists_sizes(piece: Piece) -> bool:
    """Whether a cell stands in a column of sizes some of which are gigabytes without the "B": "1.3G" beside "790M"."""
    if piece.grid is None or not says_size(piece.column):
        return False
    column = piece.spot[1]
    return any(_GIGA.match(row[column][2]) for row in piece.grid.rows[1:_ROWS] if len(row) > column)


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
        models=theme.models,
    )


def _found(read: ReadPiece, value: Value, quantity: str, around: Around) -> FoundClaim:
    piece = read.piece
    texts = (around.before + value.text + around.after, piece.row, piece.column)
    near = context(texts, _beside(piece), (*piece.headings, piece.lead))
    start, end = piece.start + value.start, piece.start + value.end
    return FoundClaim(start, end, quantity, piece, around.before, around.after, value, context=near)


def _beside(piece: Piece) -> list[str]:
    """The cells of a figure's row that are labels, too: short, and without a figure of memory of their own."""
    if piece.grid is None or not piece.spot[0]:
        return []
    number, own = piece.spot
    cells = [text for column, (_, _, text) in enumerate(piece.grid.rows[number][:_ROWS]) if column not in (0, own)]
    return [text for text in cells if len(text) <= _LONGEST_HEADING and not _BYTES.search(text)]
