"""Markdown of one line as a reader sees it: for comparing headings and table labels."""

from __future__ import annotations

import re
from functools import lru_cache
from html import unescape

_CODE = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)")
_IMAGE_OR_LINK = re.compile(r"!?\[([^\[\]]*)\](?:\([^()\s]*(?:\s[^()]*)?\)|\[[^\[\]]*\])")
_TAG = re.compile(r"</?[A-Za-z][^<>]*>|<!--.*?-->")
_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
_ATTRIBUTES = re.compile(r"\s*\{[:#.][^{}]*\}$")
_EMPHASIS = re.compile(r"(?<!\\)(?:\*+(?=\S)|(?<=\S)\*+|(?<!\w)_+(?=\S)|(?<=\S)_+(?!\w)|~~)")
_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")
_VARIATION = re.compile("[\ufe00-\ufe0f]")
_KEPT = re.compile("\ue000(\\d+)\ue001")
_RESERVED = {0xE000: None, 0xE001: None}  # stand for what is kept as it is
_LONGEST = 1000


@lru_cache(maxsize=8192)
def plain(raw: str) -> str:
    """Inline Markdown reduced to its text: no emphasis, code marks, link targets, tags or emoji variants.

    A label for people, its white space made single, close to what a renderer shows. At most 1,000 characters
    are looked at, so a long cell costs no more than a short one.
    """
    text = " ".join(raw[:_LONGEST].translate(_RESERVED).split())
    if text.isalnum():
        return text
    kept: list[str] = []

    def keep(literal: str) -> str:
        kept.append(literal)
        return f"\ue000{len(kept) - 1}\ue001"

    text = _CODE.sub(lambda found: keep(found.group(2).strip()), text)
    text = _ESCAPE.sub(lambda found: keep(found.group(1)), text)
    text = _ATTRIBUTES.sub("", _IMAGE_OR_LINK.sub(r"\1", text))
    text = _TAG.sub("", _BREAK.sub(" ", text))
    text = unescape(_EMPHASIS.sub("", text))
    text = _KEPT.sub(lambda found: kept[int(found.group(1))], text)
    return " ".join(_VARIATION.sub("", text).split())
