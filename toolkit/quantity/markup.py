"""Text without its emphasis, escapes, entities and broken encoding; the place of each character is kept."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

SPACE: Final = r"[ \t\u00a0\u2009\u202f]"
"""White space within a line."""

GAP: Final = r"[ \t\r\n\u00a0\u2009\u202f]{1,6}+"
"""White space between the parts of a value, over one line end at most: see `crosses_paragraph`."""

# What UTF-8 read as Windows-1252 or as Mac Roman makes of the signs that matter here. Real documents hold
# them, and a range whose dash is broken must not read as its upper end. Latin-1 readings of the same bytes
# hold control characters and are left alone.
BROKEN: Final[Mapping[str, str]] = MappingProxyType(
    {
        "â€“": "–", "â€”": "—", "âˆ’": "−", "â€‘": "‑", "â‰ˆ": "≈", "âˆ¼": "∼", "â‰¤": "≤",
        "â‰¥": "≥", "Ã—": "×", "Â±": "±", "Âµ": "µ", "Î¼": "μ", "\xc2\xa0": "\xa0", "â€¯": "\u202f",
        "â€‰": "\u2009", "Â²": "²", "Â³": "³", "‚Äì": "–", "‚Äî": "—", "‚àí": "−", "‚Äë": "‑",
        "‚âà": "≈", "‚àº": "∼", "‚â§": "≤", "‚â•": "≥", "√ó": "×",
        "¬±": "±", "¬µ": "µ", "Œº": "μ", "¬†": "\xa0", "‚ÄØ": "\u202f",
        "‚Äâ": "\u2009", "¬≤": "²", "¬≥": "³",
    }
)  # fmt: skip
"""Broken spellings of the signs that the parser reads, and the signs."""

_ENTITIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "&nbsp;": "\u00a0", "&thinsp;": "\u2009", "&lt;": "<", "&gt;": ">", "&le;": "≤", "&ge;": "≥",
        "&asymp;": "≈", "&sim;": "∼", "&times;": "×", "&ndash;": "–", "&mdash;": "—", "&minus;": "−",
        "&plusmn;": "±", "&dollar;": "$", "&percnt;": "%", "&micro;": "µ",
        r"\approx": "≈", r"\sim": "∼", r"\times": "×", r"\leq": "≤", r"\le": "≤", r"\geq": "≥", r"\ge": "≥",
        r"\pm": "±",
    }
)  # fmt: skip
_RUNS: Final = frozenset({"*", "**", "***", "_", "__", "___", "`", "``"})
_EMPHASIS_TAGS: Final = frozenset(
    {"b", "strong", "i", "em", "u", "mark", "code", "kbd", "span", "small", "font", "nobr"}
)
_MARKUP: Final = re.compile(
    r"(?P<run>\*++|`++|_++)|\\(?P<escaped>[!-/:-@\[-`{-~])|(?P<entity>&[a-z]{2,7};|\\[a-z]{2,6}(?![A-Za-z]))"
    r"|</?(?P<tag>[A-Za-z][A-Za-z0-9]{0,9})(?:\s[^<>]{0,200})?/?>|(?P<broken>" + "|".join(map(re.escape, BROKEN)) + ")"
)


class PlainText(NamedTuple):
    """`text` is `source` as a reader sees it; `places[i]` is where character `i` begins in the source."""

    text: str
    source: str
    places: Sequence[int]
    ends: Sequence[int]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The place in the source of `text[start:end]`, with both sides of emphasis around a part of it."""
        first, last = self.places[start], self.ends[end - 1]
        inside = self.source[first:last]
        after = self.source[last : self.places[end]]
        if _completes(after, inside):
            return first, last + len(after)
        before = self.source[self.ends[start - 1] if start else 0 : first]
        if _completes(before, inside):
            return first - len(before), last
        return first, last


def _completes(markup: str, inside: str) -> bool:
    """Whether markup beside a text is the other half of markup that stands alone inside it."""
    if markup in _RUNS:
        return inside.count(markup) % 2 == 1
    other = f"<{markup[2:]}" if markup.startswith("</") else f"</{markup[1:]}"
    return markup.startswith("<") and inside.count(other) > inside.count(markup)


def crosses_paragraph(text: str) -> bool:
    """Whether a part of a value goes over more than one line end."""
    return text.count("\n") > 1


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
    if found["escaped"]:
        return found["escaped"]
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
