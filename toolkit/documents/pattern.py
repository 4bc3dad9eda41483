"""Patterns of quotes: literal text with slots."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum
from functools import lru_cache

from toolkit.documents.index import WORD
from toolkit.frozen import frozen
from toolkit.spec.pattern import PatternError, count_slots

_BRACE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}")
_QUOTE_MARKERS = re.compile(r"^[ \t]*(?:>[ \t]?)+", re.MULTILINE)


class SlotKind(StrEnum):
    """A slot that holds the claimed value, and one that holds any text."""

    VALUE = "{}"
    ANYTHING = "{*}"


@frozen
class Gram:
    """Words that follow each other wholly inside a literal, and where in the literal the first begins."""

    words: tuple[str, ...]
    at: int


@frozen
class Literal:
    """Text to be found as it is; an edge is outer where the quote ends there, not where a slot follows."""

    text: str
    outer_left: bool
    outer_right: bool
    words: tuple[tuple[str, int], ...]  # those that are whole, and where they begin in the text

    def grams(self, size: int) -> Iterator[Gram]:
        """Runs of `size` whole words."""
        for first in range(len(self.words) - size + 1):
            run = self.words[first : first + size]
            yield Gram(tuple([word for word, _ in run]), run[0][1])


@frozen
class Pattern:
    """A quote taken apart: `literals[i]` and `literals[i + 1]` have `gaps[i]` between them.

    `leading` and `trailing` are the slots with which the quote begins and ends, if it does. With
    `whole_words`, the quote may neither begin nor end inside a word or a number of the document.
    """

    literals: tuple[Literal, ...]
    gaps: tuple[SlotKind, ...]
    leading: SlotKind | None
    trailing: SlotKind | None
    whole_words: bool = True


@lru_cache(maxsize=4096)
def make_pattern(quote: str) -> Pattern | PatternError:
    """Parses a quote; the loader of specs has refused malformed ones before."""
    slots = count_slots(quote)
    if isinstance(slots, PatternError):
        return slots
    pieces, kinds, last = [""], [], 0
    for brace in _BRACE.finditer(quote):
        pieces[-1] += quote[last : brace.start()]
        last = brace.end()
        if brace.group(1) is None:
            pieces[-1] += brace.group()[0]
        else:
            kinds.append(SlotKind.ANYTHING if brace.group(1).strip() == "*" else SlotKind.VALUE)
            pieces.append("")
    pieces[-1] += quote[last:]
    return _assemble([_single_spaced(piece) for piece in pieces], kinds)


def without_quote_markers(quote: str) -> str:
    """A quote without the block quote markers at its line starts."""
    return _QUOTE_MARKERS.sub("", quote)


def slot_texts(quote: str) -> list[str]:
    """The slots of a quote as they are written, in order: "{94 GB}", "{*}"."""
    return [brace.group() for brace in _BRACE.finditer(quote) if brace.group(1) is not None]


def _assemble(texts: list[str], kinds: list[SlotKind]) -> Pattern:
    texts[0] = texts[0].lstrip()
    texts[-1] = texts[-1].rstrip()
    leading = kinds.pop(0) if not texts[0] else None
    trailing = kinds.pop() if not texts[-1] else None
    texts = [text for text in texts if text]
    last = len(texts) - 1
    literals = tuple(
        _literal(text, leading is None and number == 0, trailing is None and number == last)
        for number, text in enumerate(texts)
    )
    return Pattern(literals, tuple(kinds), leading, trailing)


def _literal(text: str, outer_left: bool, outer_right: bool) -> Literal:
    """A literal and its whole words: one that touches a slot may be part of a longer word of the document."""
    words = tuple(
        (word.group(), word.start())
        for word in WORD.finditer(text)
        if (outer_left or word.start() > 0) and (outer_right or word.end() < len(text))
    )
    return Literal(text, outer_left, outer_right, words)


def _single_spaced(text: str) -> str:
    inner = " ".join(text.split())
    if not inner:
        return " " if text else ""
    return f"{' ' * text[0].isspace()}{inner}{' ' * text[-1].isspace()}"
