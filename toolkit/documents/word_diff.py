"""Two texts compared word by word."""

from __future__ import annotations

import re
from difflib import SequenceMatcher

_WORDS = re.compile(r"\s+|\{[^{}]*\}|[^\W_]+(?:[.,][0-9]+)*|.", re.DOTALL)
_MOST = 600  # words of each text that are compared one by one

Piece = tuple[str, str]
"""A sign and a text: "=" stands in both, "-" in the first only, "+" in the second only."""


def word_diff(old: str, new: str) -> tuple[Piece, ...]:
    """The pieces of two texts in order, white space made single; long texts differ as a whole."""
    first, second = (_words(text) for text in (old, new))
    if max(len(first), len(second)) > _MOST:
        return (("-", "".join(first)), ("+", "".join(second)))
    pieces: list[Piece] = []
    for kind, low, high, start, end in SequenceMatcher(None, first, second, autojunk=False).get_opcodes():
        if kind == "equal":
            pieces.append(("=", "".join(first[low:high])))
            continue
        pieces += [(sign, text) for sign, text in _sides(first[low:high], second[start:end]) if text]
    return tuple(pieces)


def _words(text: str) -> list[str]:
    return _WORDS.findall(" ".join(text.split()))


def _sides(old: list[str], new: list[str]) -> tuple[Piece, Piece]:
    return ("-", "".join(old)), ("+", "".join(new))
