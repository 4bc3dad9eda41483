"""Text without its emphasis, escapes, entities and broken encoding; the place of each character is kept."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

# What UTF-8 read as Windows-1252 or as Mac Roman makes of the signs that matter here. Real documents hold
# them, and a range whose dash is broken must not read as its upper end. Latin-1 readings of the same bytes
# hold control characters and are left alone.
BROKEN: Final[Mapping[str, str]] = MappingProxyType(
    {
        "â€“": "–", "â€”": "—", "âˆ’": "−", "â€‘": "‑", "â‰ˆ": "≈", "âˆ¼": "∼", "â‰¤": "≤",
        "â‰¥": "≥", "Ã—": "×", "Â±": "±", "Âµ": "µ", "Î¼": "μ", "\xc2\xa0": "\xa0", "â€¯": "\u202f",
        "â€‰": "\u2009", "Â²": "²", "Â³": "³", "‚Äì": "–", "‚Äî": "—", "‚àí": "−", "‚Äë": "‑", "‚âà": "≈", "‚àº": "∼",
        "‚â§": "≤", "‚â•": "≥", "√ó": "×", "¬±": "±", "¬µ": "µ", "Œº": "μ", "¬†": "\xa0", "‚ÄØ": "\u202f",
        "‚Äâ": "\u2009", "¬≤": "²", "¬≥": "³",
    }
)  # fmt: skip
"""Broken spellings of the signs that the parser reads, and the signs."""

_ENTITIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "&nbsp;": "\u00a0", "&thinsp;": "\u2009", "&lt;": "<", "&gt;": ">", "&le;": "≤", "&ge;": "≥",
        "&asymp;": "≈", "&sim;": "∼", "&times;": "×", "&ndash;": "–", "&mdash;": "—", "&minus;": "−", "&plusmn;": "±",
        "&dollar;": "$", "&percnt;": "%", "&micro;": "µ",
        r"\approx": "≈", r"\sim": "∼", r"\times": "×", r"\leq": "≤", r"\le": "≤", r"\geq": "≥", r"\ge": "≥",
        r"\pm": "±",
    }
)  # fmt: skip
_EMPHASIS_TAGS: Final = frozenset(
    {"b", "strong", "i", "em", "u", "mark", "code", "kbd", "span", "small", "font", "nobr"}
)
_MARKUP: Final = re.compile(
    r"(?P<run>\*++|`++|_++)|(?P<escape>\\(?=[!-/:-@\[-`{-~]))|(?P<entity>&[a-z]{2,7};|\\[a-z]{2,6}(?![A-Za-z]))"
    r"|</?(?P<tag>[A-Za-z][A-Za-z0-9]{0,9})(?:\s[^<>]{0,200})?/?>|(?P<broken>"
    + "|".join(map(re.escape, BROKEN))
    + ")"
)


class PlainText(NamedTuple):
    """`text` is `source` as a reader sees it; `places[i]` is where character `i` begins in the source."""

    text: str
    source: str
    places: Sequence[int]
    ends: Sequence[int]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The place in the source of `text[start:end]`, with both sides of emphasis that holds a part of it."""
        first, last = self.places[start], self.ends[end - 1]
        inside = self.source[first:last]
        after, before = _run_at(self.source, last), _run_before(self.source, first)
        if after and inside.count(after) % 2:
            return first, last + len(after)
        if before and inside.count(before) % 2:
            return first - len(before), last
        return first, last


def plain_text(source: str) -> PlainText:
    """The source without emphasis (`**`, `*`, `_`, backticks, tags such as `<b>`), escapes and entities.

    A star between spaces or between digits multiplies and stays, as do a bullet and an underscore within a
    word.
    """
    pieces: list[str] = []
    places: list[int] = []
    ends: list[int] = []
    done = 0
    for found in _MARKUP.finditer(source):
        shown = _shown(source, found)
        if shown is None:
            continue
        pieces += (source[done : found.start()], shown)
        places += range(done, found.start())
        ends += range(done + 1, found.start() + 1)
        if shown:
            places.append(found.start())
            ends.append(found.end())
        done = found.end()
    if not done:
        return PlainText(source, source, range(len(source) + 1), range(1, len(source) + 2))
    pieces.append(source[done:])
    places += range(done, len(source) + 1)
    ends += range(done + 1, len(source) + 2)
    return PlainText("".join(pieces), source, places, ends)


def _shown(source: str, found: re.Match[str]) -> str | None:
    """What a reader sees in place of a piece of markup, one character at most; None: it is no markup."""
    if found["run"]:
        return None if _operates(source, found) else ""
    if found["escape"]:
        return ""
    if found["entity"]:
        return _ENTITIES.get(found["entity"])
    if found["broken"]:
        return BROKEN[found["broken"]]
    tag = found["tag"].lower()
    if tag == "sup":
        return "" if found.group().startswith("</") else "^"
    # Any other tag separates: what stands on its two sides is not read together.
    return "" if tag in _EMPHASIS_TAGS and not _between(source, found, str.isdigit) else "|"


def _operates(source: str, found: re.Match[str]) -> bool:
    """Whether a run of stars, underscores or backticks is something other than emphasis."""
    if _between(source, found, str.isdigit):
        return True
    if found["run"][0] == "_":
        return _between(source, found, str.isalnum)
    before, after = source[found.start() - 1 : found.start()], source[found.end() : found.end() + 1]
    return found["run"][0] == "*" and (not before or before.isspace()) and (not after or after.isspace())


def _between(source: str, found: re.Match[str], of_kind: Callable[[str], bool]) -> bool:
    before, after = source[found.start() - 1 : found.start()], source[found.end() : found.end() + 1]
    return of_kind(before) and of_kind(after)


_RUN_AFTER: Final = re.compile(r"\*{1,3}|`{1,3}|_{1,3}")


def _run_at(source: str, at: int) -> str:
    found = _RUN_AFTER.match(source, at)
    return found.group() if found else ""


def _run_before(source: str, at: int) -> str:
    length = 0
    while length < min(3, at) and source[at - length - 1] in "*_`":
        length += 1
    return source[at - length : at]
