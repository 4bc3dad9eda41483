"""A document's text with white space made single, and where its words stand: what quotes are looked up in."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import accumulate

from toolkit.documents.lines import Lines
from toolkit.documents.structure import Structure
from toolkit.documents.tables import Table

# Scripts without spaces between words: each character is a word of its own, so a quote may begin anywhere.
_UNSPACED = "\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
WORD = re.compile(rf"[^\W_{_UNSPACED}]+|[{_UNSPACED}]")
_TOKEN = re.compile(r"\S+")
_QUOTE_MARKER = re.compile(r"[ \t]*>")


def blanked(text: str, lines: Lines, structure: Structure) -> str:
    """The text with the block quote markers at line starts replaced by spaces; offsets stay as they are."""
    if not structure.quote_depth:
        return text
    pieces, last = [], 0
    for line in sorted(structure.quote_depth):
        start, end = lines.span(line)
        for _ in range(structure.quote_depth[line]):
            marker = _QUOTE_MARKER.match(text, start, end)
            if marker is None:
                break
            pieces += [text[last : marker.end() - 1], " "]
            start = last = marker.end()
    return "".join([*pieces, text[last:]])


class TextIndex:
    """The normal form of a text: its tokens joined by single spaces, with offsets both ways.

    `text` is the normal form; positions in it are called spots, to tell them from offsets of the raw text.
    `work` counts what look-ups have cost, in spots looked at: tests hold it to the size of the input.
    """

    def __init__(self, source: str, lines: Lines, structure: Structure, tables: Sequence[Table]) -> None:
        self._raw_starts = [token.start() for token in _TOKEN.finditer(source)]
        tokens = _TOKEN.findall(source)
        self._starts = [0, *accumulate(len(token) + 1 for token in tokens)]
        self._lengths = [len(token) for token in tokens]
        self.text = " ".join(tokens)
        self.barriers = self._find_barriers(source, lines, structure, tables)
        self.work = 0
        self.scanned = 0
        self._grams: dict[int, dict[tuple[str, ...], list[int]]] = {}

    def spot(self, offset: int) -> int:
        """The spot of a raw offset; of white space, the spot of the token after it."""
        token = bisect_right(self._raw_starts, offset) - 1
        if token < 0:
            return 0
        within = offset - self._raw_starts[token]
        if within <= self._lengths[token]:
            return self._starts[token] + within
        return min(self._starts[token + 1], len(self.text))

    def offset(self, spot: int) -> int:
        """The raw offset of the character at a spot."""
        token = bisect_right(self._starts, spot) - 1
        return self._raw_starts[token] + spot - self._starts[token]

    def offsets(self, start: int, end: int) -> tuple[int, int]:
        """The raw offsets of a piece of the normal form, not empty and without a space at its ends."""
        return self.offset(start), self.offset(end - 1) + 1

    def trimmed(self, start: int, end: int) -> tuple[int, int]:
        """The piece without the space at its ends."""
        start += start < end and self.text[start] == " "
        end -= start < end and self.text[end - 1] == " "
        return start, end

    def crosses(self, start: int, end: int) -> bool:
        """Whether a block or a table cell ends between two spots."""
        return bisect_left(self.barriers, start) != bisect_left(self.barriers, end)

    def block(self, spot: int) -> tuple[int, int]:
        """The ends of the block or table cell around a spot that is not itself between blocks."""
        after = bisect_left(self.barriers, spot)
        start = self.barriers[after - 1] + 1 if after else 0
        return start, self.barriers[after] if after < len(self.barriers) else len(self.text)

    def standing(self, words: tuple[str, ...], low: int, high: int) -> Sequence[int]:
        """Places within the bounds at which these words follow each other."""
        spots = self._gram_table(len(words)).get(words, ())
        return spots[bisect_left(spots, low) : bisect_left(spots, high)]

    def count(self, words: tuple[str, ...], low: int, high: int) -> int:
        """How often these words follow each other within the bounds."""
        spots = self._gram_table(len(words)).get(words, ())
        return bisect_left(spots, high) - bisect_left(spots, low)

    @cached_property
    def _words(self) -> tuple[list[str], list[int]]:
        found = list(WORD.finditer(self.text))
        return [word.group() for word in found], [word.start() for word in found]

    def _gram_table(self, size: int) -> dict[tuple[str, ...], list[int]]:
        """Runs of `size` words to the spots where they begin, made once per size."""
        if size not in self._grams:
            words, spots = self._words
            table: dict[tuple[str, ...], list[int]] = {}
            grams = zip(*(words[skip:] for skip in range(size)), strict=False)
            for spot, gram in zip(spots, grams, strict=False):
                table.setdefault(gram, []).append(spot)
            self.work += len(words)
            self._grams[size] = table
        return self._grams[size]

    def _find_barriers(self, source: str, lines: Lines, structure: Structure, tables: Iterable[Table]) -> list[int]:
        """Places of the spaces between blocks and of the pipes between cells, ascending."""
        barriers = {self.spot(pipe) for table in tables for pipe in table.pipes()}
        breaks = set(structure.block_starts)
        for line in range(len(lines)):
            if not source[slice(*lines.span(line))].strip():
                breaks.update((line, line + 1))
        for line in breaks:
            token = bisect_left(self._raw_starts, lines.start(line))
            if 0 < token < len(self._raw_starts):
                barriers.add(self._starts[token] - 1)
        return sorted(barriers)
