"""Claims of a draft beyond figures of memory: changes of speed and size, and named cards that something runs on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from toolkit.documents.scan import cues
from toolkit.documents.scan.claim import FoundClaim, ReadPiece, Scanned
from toolkit.documents.scan.context import context
from toolkit.documents.scan.direction import FALLING, PACE, RISING
from toolkit.documents.scan.names import gpus_in
from toolkit.documents.scan.pieces import Kind
from toolkit.quantity import Dimension, Value

_COMPARED_AFTER: Final = re.compile(
    rf"[\s*_`]*(?:of )?(?:the )?(?:{FALLING}|{RISING}|{PACE}|quicker|bigger|longer)\b", re.IGNORECASE
)
_COMPARED_BEFORE: Final = re.compile(
    r"\b(?:sav(?:es|ed|ing)|reduc\w+|cuts?|decreas\w+|increas\w+|speed\w*|faster|slower|smaller|cheaper)\b"
    r"[^.;|\d]{0,24}\bby\s[\s*_`~≈]*\Z|\b(?:speed-?up|savings?|reduction)(?: of|:)[\s*_`~≈]*\Z",
    re.IGNORECASE,
)
_OTHER: Final = re.compile(
    r"[\s*_`]*(?:more|less|fewer|higher|lower) (?:accura\w+|likely|tokens|often)\b", re.IGNORECASE
)
_LISTED: Final = re.compile(r"(?:[\s*_`(,/、]|\bor\b|\band\b|\d{1,2}\s?GB|\)|NVIDIA)*", re.IGNORECASE)
_LABEL: Final = re.compile(r"[\s*_`]*gpus?[\s*_`]*[:：]", re.IGNORECASE)
_NEEDS: Final = re.compile(
    r"\brequire\w*|\bneed\w*|\bminimum\b|\brecommended\b|\bhardware\b|\bsystem\b|\bcompatib\w+|\bv?ram\b",
    re.IGNORECASE,
)
_REACH: Final = 160
_STOP: Final = re.compile(r"[.!?;](?=\s)|\n[ \t]*(?=\n)|\|")


def changes_beyond(scanned: Scanned) -> Iterator[FoundClaim]:
    """Shares and ratios of a change that is none of memory: "67 % faster", "3x smaller"."""
    taken = {claim.start for claim in scanned.claims}
    for read in scanned.pieces:
        if _may_compare(read):
            for value in read.values:
                if (
                    value.unit.dimension in {Dimension.SHARE, Dimension.RATIO}
                    and read.piece.start + value.start not in taken
                ):
                    before, after = _around(read.text, value.start, value.end)
                    if (_COMPARED_AFTER.match(after) and not _OTHER.match(after)) or _COMPARED_BEFORE.search(before):
                        yield _claim(read, "change", (value.start, value.end), value)


def _may_compare(read: ReadPiece) -> bool:
    return "%" in read.text or "×" in read.text or "x" in read.text or "times" in read.text or "percent" in read.text


def cards_beyond(scanned: Scanned) -> Iterator[FoundClaim]:
    """Cards that something is said to run on by their names: "runs on an RTX 3090 or RTX 4090", "GPU: RTX 3060"."""
    for read in scanned.pieces:
        if read.piece.kind is Kind.CELL:
            continue
        labelled = _LABEL.match(read.text) is not None and any(map(_NEEDS.search, read.piece.headings[:2]))
        fitting = -1
        for card in gpus_in(read.text):
            before, _ = _around(read.text, card.start, card.end)
            follows = fitting >= 0 and _LISTED.fullmatch(read.text, fitting, card.start) is not None
            if labelled or follows or cues.says_fit(before):
                fitting = card.end
                yield _claim(read, "fits", (card.start, card.end), None)


def _claim(read: ReadPiece, quantity: str, span: tuple[int, int], value: Value | None) -> FoundClaim:
    piece, (start, end) = read.piece, span
    before, after = _around(read.text, start, end)
    near = context((before + read.text[start:end] + after, piece.row, piece.column, *piece.headings, piece.lead))
    return FoundClaim(piece.start + start, piece.start + end, quantity, piece, before, after, value, context=near)


def _around(text: str, start: int, end: int) -> tuple[str, str]:
    """The words of a sentence before and after a piece of it."""
    low = max(0, start - _REACH)
    stops = [stop.end() for stop in _STOP.finditer(text, low, start)]
    following = _STOP.search(text, end, end + _REACH)
    return text[stops[-1] if stops else low : start], text[end : following.end() if following else end + _REACH]
