"""Where in the document a claim is: a quote, or a cell of a table."""

from __future__ import annotations

from toolkit.finding import Place
from toolkit.frozen import frozen


@frozen
class Quote:
    """Verbatim text of the document, with the claimed value as a slot.

    `under` names the heading whose section holds it, `occurrence` (from 1) which of several equal places is
    meant; `place` is where the spec says so. Without a slot the quote points at a statement as a whole.
    """

    text: str
    place: Place
    under: str | None = None
    occurrence: int | None = None
    has_slot: bool = False


@frozen
class TableRef:
    """A table of the document: the first, or `occurrence`-th, under a heading (of the document, if None)."""

    under: str | None
    occurrence: int | None
    place: Place


@frozen
class Cell:
    """A cell by its row (first cell) and column (header cell); `pattern` is a quote in it, None all of it."""

    table: TableRef
    row: str
    column: str
    place: Place
    pattern: Quote | None = None


@frozen
class Name:
    """A name written where a quote could stand: of a value of the spec, or of a scenario."""

    text: str
    place: Place


Source = Quote | Cell
Operand = Quote | Cell | Name
