"""Text read through its damage: UTF-8 that was once read in another encoding.

Nothing is guessed: a run of characters is taken for broken UTF-8 only where its bytes are UTF-8. Amounts as other
languages write them are brought to one form on the way (`toolkit.documents.scan.local`).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Final

from toolkit.documents.scan.local import local_edits
from toolkit.documents.scan.multiples import Edit

CODECS: Final = ("cp1252", "cp1254", "mac_roman")
"""The encodings that UTF-8 is mistaken for, the likelier first."""

_LOST: Final[Mapping[str, str]] = MappingProxyType({"âŒ": "❌"})
"""Signs of which a byte that the encoding has no character for was dropped on the way."""


class Mended:
    """An edited text that knows where each of its characters came from."""

    __slots__ = ("_offsets", "_spots", "text")

    def __init__(self, source: str, edits: Iterable[Edit]) -> None:
        pieces: list[str] = []
        self._spots = [0]
        self._offsets = [0]
        done = length = 0
        for edit in edits:
            pieces += (source[done : edit.start], edit.text)
            length += edit.start - done
            self._mark(length, edit.start)
            length += len(edit.text)
            self._mark(length, edit.end)
            done = edit.end
        pieces.append(source[done:])
        self._mark(length + len(source) - done, len(source))
        self.text = "".join(pieces)

    def _mark(self, spot: int, offset: int) -> None:
        self._spots.append(spot)
        self._offsets.append(offset)

    def origin(self, spot: int) -> int:
        """Where in the source the character at a place of the mended text begins."""
        found = bisect_right(self._spots, spot) - 1
        offset = self._offsets[found] + spot - self._spots[found]
        return min(offset, self._offsets[found + 1]) if found + 1 < len(self._offsets) else self._offsets[-1]


def read_through(source: str) -> tuple[str, tuple[Mended, ...]]:
    """The text as it was meant, and the steps that lead from it back to the file, the last one first."""
    encoded = Mended(source, _broken(source))
    local = Mended(encoded.text, local_edits(encoded.text))
    return local.text, (local, encoded)


def origin(steps: tuple[Mended, ...], spot: int) -> int:
    """Where in the file a character of the text that `read_through` gives begins."""
    for step in steps:
        spot = step.origin(spot)
    return spot


def _broken(source: str) -> list[Edit]:
    """The broken characters of a text, under the one encoding that explains most of them."""
    if source.isascii():
        return []
    found = [_broken_by(source, codec) for codec in CODECS]
    best = max(found, key=len)
    lost = [edit for sign, meant in _LOST.items() for edit in _each(source, sign, meant)]
    taken = {edit.start for edit in best}
    return sorted([*best, *(edit for edit in lost if edit.start not in taken)], key=lambda edit: edit.start)


def _each(source: str, sign: str, meant: str) -> list[Edit]:
    return [Edit(found.start(), found.end(), meant) for found in re.finditer(re.escape(sign), source)]


def _broken_by(source: str, codec: str) -> list[Edit]:
    pattern, byte_of = _alphabet(codec)
    edits: list[Edit] = []
    long = False
    for found in pattern.finditer(source):
        data = bytes(byte_of[character] for character in found.group())
        try:
            meant = data.decode("utf-8")
        except UnicodeDecodeError:
            continue
        long |= len(data) > 2
        edits.append(Edit(found.start(), found.end(), meant))
    # In Mac Roman "√" and "¬" begin two-byte characters, and they have a life of their own.
    return edits if long or codec != "mac_roman" else []


@cache
def _alphabet(codec: str) -> tuple[re.Pattern[str], Mapping[str, int]]:
    """What UTF-8 sequences look like in an encoding; bytes that it leaves open stand for themselves."""
    byte_of = {}
    for byte in range(0x80, 0x100):
        character = bytes([byte]).decode(codec, "ignore") or chr(byte)
        byte_of[character] = byte
    of = {byte: re.escape(character) for character, byte in byte_of.items()}
    rest = f"[{''.join(of[byte] for byte in range(0x80, 0xC0))}]"
    leads = [
        ("".join(of[byte] for byte in span), size)
        for span, size in ((range(0xF0, 0xF5), 3), (range(0xE0, 0xF0), 2), (range(0xC2, 0xC4), 1), ((0xCE, 0xCF), 1))
    ]
    return re.compile("|".join(f"[{lead}]{rest}{{{size}}}" for lead, size in leads)), byte_of
