"""A figure that a document states, as it was found in the text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Final

from toolkit.documents.document import Document
from toolkit.documents.scan.equations import Equation, equations, may_equate
from toolkit.documents.scan.mend import Mended, origin
from toolkit.documents.scan.pieces import Piece
from toolkit.documents.scan.values import values_in
from toolkit.finding import Place
from toolkit.quantity import Bound, Mark, Value

_DIGIT: Final = re.compile("[0-9]")


@dataclass(frozen=True)
class FoundClaim:
    """A figure or a mark about one quantity. `start` and `end` are offsets of the text as it was meant.

    `value` is None for a mark ("✅"). `piece` is where it stands, `before` and `after` the words of its sentence.
    """

    start: int
    end: int
    quantity: str
    piece: Piece = field(repr=False)
    before: str
    after: str
    value: Value | None = None
    mark: Mark | None = None
    context: Mapping[str, str] = field(default_factory=dict)

    @property
    def sentence(self) -> str:
        """The words that the claim was judged by."""
        return f"{self.before}{self.value.text if self.value else ''}{self.after}"

    @property
    def low(self) -> Fraction | None:
        """The smaller end as printed, in the unit as written; None where there is no number or no such end."""
        if self.value is None or self.value.bound is Bound.AT_MOST:
            return None
        return min(self.value.printed)

    @property
    def high(self) -> Fraction | None:
        """The larger end as printed, in the unit as written; None where there is no number or no such end."""
        if self.value is None or self.value.bound is Bound.AT_LEAST:
            return None
        return max(self.value.printed)


@dataclass(frozen=True)
class ReadPiece:
    """A piece with its values and equations; their offsets are those of `text`, which begins at the piece's start.

    Both are read when they are first asked for: most text of figures alone is never asked about them.
    """

    piece: Piece
    text: str

    @cached_property
    def values(self) -> tuple[Value, ...]:
        """Every value of the text, left to right."""
        return tuple(values_in(self.text)) if _DIGIT.search(self.text) else ()

    @cached_property
    def equations(self) -> tuple[Equation, ...]:
        """The arithmetic that is written out in the text, in order."""
        return tuple(equations(self.text, list(self.values))) if may_equate(self.text) else ()


@dataclass(frozen=True)
class Scanned:
    """A document with what was found in it. `meant` is the document as it is read, `document` as it stands."""

    document: Document
    meant: Document
    steps: tuple[Mended, ...]
    pieces: tuple[ReadPiece, ...]
    claims: tuple[FoundClaim, ...]

    def place(self, start: int, end: int) -> Place:
        """Where a piece of the text as it was meant stands in the file."""
        return self.document.place(origin(self.steps, start), origin(self.steps, end))

    def written(self, start: int, end: int) -> str:
        """A piece of the text as it stands in the file."""
        return self.document.text[origin(self.steps, start) : origin(self.steps, end)]
