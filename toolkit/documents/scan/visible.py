"""What of a text a reader takes for prose: comments, addresses and settings are blanked, offsets stay."""

from __future__ import annotations

import re
from typing import Final

_ADDRESS: Final = re.compile(r"(?<=\])\([^()\s]{1,500}\)|<?https?://[^\s<>()|]{1,500}>?")
_CODE: Final = re.compile(r"(?<!`)`([^`\n]{1,300})`(?!`)")
_SETTING: Final = re.compile(
    r"\A[a-z][a-z0-9]*_[a-z0-9_]*: ?\S+\Z|\A\s*-{1,2}[A-Za-z]|[A-Za-z_\])]=(?!=)\S|\A[\w]+(?:\.[\w]+)*\("
)
_TAG: Final = re.compile(r"<(?!!)/?[A-Za-z][^<>]{0,500}>")


def visible(text: str) -> str:
    """The text with comments, link targets, addresses and settings in code marks as spaces."""
    text = _ADDRESS.sub(_blank, _without_comments(text))
    return _CODE.sub(lambda found: _blank(found) if _SETTING.search(found[1]) else found.group(), text)


def without_tags(text: str) -> str:
    """The text with its HTML tags as spaces."""
    return _TAG.sub(_blank, text)


def _blank(found: re.Match[str]) -> str:
    return "".join(character if character in "\r\n" else " " for character in found.group())


def _without_comments(text: str) -> str:
    pieces: list[str] = []
    done = 0
    while (start := text.find("<!--", done)) >= 0:
        end = text.find("-->", start + 4)
        if end < 0:
            break
        pieces += (text[done:start], "".join(c if c in "\r\n" else " " for c in text[start : end + 3]))
        done = end + 3
    return "".join([*pieces, text[done:]])
