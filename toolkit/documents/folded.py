"""A text as a reader sees it: typography and emphasis that change no word are folded away."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from html import unescape
from types import MappingProxyType
from typing import Final

from toolkit.documents.scan.mend import Mended
from toolkit.documents.scan.multiples import Edit

_LIKE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "'": "\u2018\u2019\u201a\u201b\u2032",
        '"': "\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb",
        "-": "\u2010\u2011\u2012\u2013\u2014\u2212\ufe63\uff0d",
        " ": "\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000",
        "...": "\u2026",
        "x": "\u00d7\u2715",
        "fi": "\ufb01",
        "fl": "\ufb02",
        "": "\u00ad\u200b\u200c\u200d\u2060\ufeff\ufe0e\ufe0f",
    }
)
_FOLDED: Final = {one: plain for plain, written in _LIKE.items() for one in written}
_MARKS: Final = (
    r"(?P<entity>&(?:#[0-9]{1,6}|#[xX][0-9a-fA-F]{1,5}|[A-Za-z]{2,12});)"
    r"|(?P<space><br ?/?>|\\(?=\r?\n))|(?P<tag></?(?:b|strong|i|em|code)>)|(?P<escape>\\[!-/:-@\[-`~])"
    r"|(?P<run>\*+|_+|`+|~+)"
    rf"|(?P<letter>[{re.escape(''.join(_FOLDED))}\uff01-\uff5e])"
)
_IN_TEXT: Final = re.compile(_MARKS, re.IGNORECASE)
_IN_QUOTE: Final = re.compile(rf"\{{[^{{}}]*\}}|{_MARKS}", re.IGNORECASE)
_FULL_WIDTH: Final = 0xFEE0


def folded(text: str, *, quote: bool = False) -> Mended:
    """A text without what only typography tells apart; of a quote, the slots stay as they are.

    Folded are kinds of spaces, dashes and quotation marks, emphasis and code marks, escapes, entities, hard line
    breaks and characters that are not seen. Digits raised or lowered are not: 10² is not 102.
    """
    return Mended(text, _edits(text, quote=quote))


def _edits(text: str, *, quote: bool) -> Iterator[Edit]:
    for found in (_IN_QUOTE if quote else _IN_TEXT).finditer(text):
        plain = _plain(found, text)
        if plain is not None:
            yield Edit(found.start(), found.end(), plain)


def _plain(found: re.Match[str], text: str) -> str | None:
    """What a mark is folded to; None where it says something."""
    written = found.group()
    match found.lastgroup:
        case "entity":
            meant = unescape(written)
            return None if meant == written else "".join(_letter(one) for one in meant)
        case "space":
            return " "
        case "tag":
            return ""
        case "escape":
            return None if written == "\\|" else written[1]
        case "run":
            return None if _speaks(found, text) else ""
        case "letter":
            return _letter(written)
        case _:
            return None


def _letter(one: str) -> str:
    if "\uff01" <= one <= "\uff5e":
        return chr(ord(one) - _FULL_WIDTH)
    return _FOLDED.get(one, one)


def _speaks(run: re.Match[str], text: str) -> bool:
    """Whether a run of marks is no emphasis: "2*3", "q_proj", "a * b", "~5 GB", the fence of a block of code."""
    sign, length = run.group()[0], len(run.group())
    if (sign == "~" and length != 2) or (sign == "`" and length > 2):
        return True
    before, after = text[run.start() - 1 : run.start()], text[run.end() : run.end() + 1]
    if sign == "`":
        return False
    if before.isalnum() and after.isalnum():
        return True
    return bool(before and after) and before.isspace() and after.isspace()
