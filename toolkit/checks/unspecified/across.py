"""One statement that two documents make with different figures.

Nothing here says which of them is false: what is found are warnings, each with both places.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from toolkit.checks.unspecified.repeats import STATED, TOLD_APART, meet, terms_of
from toolkit.documents.directives.ignore import DIFFERING
from toolkit.documents.scan.claim import FoundClaim, Scanned
from toolkit.documents.scan.pieces import Kind
from toolkit.finding import Finding, Place, Related, Severity
from toolkit.frozen import frozen
from toolkit.quantity import Bound, Value

_MARKUP: Final = re.compile(r"[\s*_`\\]+")
_WORD: Final = re.compile(r"[^\W\d_]{2,}|[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af]")
_FEWEST_WORDS: Final = 5
_SPECIFIC: Final = ("model", "method", "precision", "batch_size", "sequence_length")
"""The names by which a statement is recognised without its words."""


@frozen
class _Statement:
    place: Place
    text: str
    value: Value


class Statements:
    """The statements of all documents so far; of equal statements the first."""

    def __init__(self) -> None:
        self._first: dict[tuple[str | None, ...], _Statement] = {}

    def differing(self, scanned: Scanned) -> Iterator[Finding]:
        """The statements of a document that an earlier one makes with another figure."""
        terms = terms_of(scanned)
        said: set[tuple[str, Place]] = set()
        for claim in scanned.claims:
            if claim.value is None or claim.value.bound is not Bound.POINT or claim.start in terms:
                continue
            statement = _Statement(scanned.place(claim.start, claim.end), claim.value.text, claim.value)
            for key in _keys(claim):
                first = self._first.setdefault(key, statement)
                other = first.place.path, statement.place
                if first.place.path == statement.place.path or meet(first.value, claim.value) or other in said:
                    continue
                said.add(other)
                yield _finding(first, statement, claim)


def _finding(first: _Statement, statement: _Statement, claim: FoundClaim) -> Finding:
    shown, known = (" ".join(one.text.split()) for one in (statement, first))
    message = f'"{shown}" ({claim.quantity}) is "{known}" in the same statement at {first.place}'
    related = (Related(first.place, first.text),)
    return Finding(statement.place, DIFFERING, message, severity=Severity.WARNING, related=related)


def _keys(claim: FoundClaim) -> Iterator[tuple[str | None, ...]]:
    """The keys by which the same statement is recognised in another document: its words, its row, or all its names."""
    if claim.quantity not in STATED or "model" not in claim.context:
        return
    situation = (claim.quantity, *(claim.context.get(name) for name in TOLD_APART))
    words = f"{_folded(claim.before)} {{}} {_folded(claim.after)}"
    if claim.piece.kind is Kind.CELL:
        yield (*situation, "row", *_row(claim, words))
    elif len(_WORD.findall(words)) >= _FEWEST_WORDS:
        yield (*situation, "words", words)
    if all(name in claim.context for name in _SPECIFIC):
        yield (*situation, "named")


def _row(claim: FoundClaim, words: str) -> tuple[str, ...]:
    """The headings of a table and the cells of a figure's row, with its own as the words around it."""
    grid, (number, column) = claim.piece.grid, claim.piece.spot
    assert grid is not None, "a cell stands in a table"
    cells = [_folded(text) for _, _, text in grid.rows[number]]
    cells[column] = words
    return (*map(_folded, grid.header), *cells)


def _folded(text: str) -> str:
    return _MARKUP.sub(" ", text).strip().casefold()
