"""Hedges and bounds around numbers in languages other than English."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from toolkit.quantity import Bound

_HEDGES: Final = frozenset(
    {"environ", "env.", "etwa", "rund", "ungefähr", "circa", "ca", "ca.", "aproximadamente", "cerca de", "unos"}
    | {"quase", "casi", "около", "примерно", "приблизительно"}
)
_BOUNDS: Final[Mapping[str, Bound]] = MappingProxyType(
    {
        **dict.fromkeys(("mindestens", "wenigstens", "ab", "mehr als", "über", "au moins"), Bound.AT_LEAST),
        **dict.fromkeys(("minimum", "minimum de", "plus de", "al menos", "mínimo", "mínimo de"), Bound.AT_LEAST),
        **dict.fromkeys(("más de", "pelo menos", "mais de", "не менее", "минимум"), Bound.AT_LEAST),
        **dict.fromkeys(("höchstens", "maximal", "bis zu", "weniger als", "unter", "jusqu'à"), Bound.AT_MOST),
        **dict.fromkeys(("jusqu’à", "au plus", "moins de", "hasta", "menos de", "como máximo"), Bound.AT_MOST),
        **dict.fromkeys(("até", "no máximo", "не более", "до"), Bound.AT_MOST),
    }
)
_JOINED_HEDGES: Final = frozenset({"约", "约为", "大约", "大概", "约需", "約", "およそ", "약"})
_JOINED_BOUNDS: Final[Mapping[str, Bound]] = MappingProxyType(
    {
        **dict.fromkeys(("至少", "最低", "不少于", "超过", "最低でも", "少なくとも", "최소"), Bound.AT_LEAST),
        **dict.fromkeys(("最多", "不超过", "不到", "不足", "低于", "小于", "最大", "少于"), Bound.AT_MOST),
    }
)
"""Words of scripts that set no space between a word and a number."""

_AFTER: Final = re.compile(r"\s?(?:左右|程度|前後|前后|上下|정도)")
_LEAST_AFTER: Final = re.compile(r"\s?(?:以上|及以上|起|이상)")
_MOST_AFTER: Final = re.compile(r"\s?(?:以内|以下|未満|이하|미만)")

_SPACED: Final = tuple(sorted(_HEDGES | _BOUNDS.keys(), key=len, reverse=True))
_JOINED: Final = tuple(sorted(_JOINED_HEDGES | _JOINED_BOUNDS.keys(), key=len, reverse=True))
_ANY: Final = _SPACED + _JOINED
_LOOK: Final = 24
_NEXT: Final = 3


def hedge_at(text: str, start: int, end: int) -> str | None:
    """The word that makes the number at `start` to `end` approximate; None where there is none."""
    word = _lead(text, start)
    if word is not None and (word.lower() in _HEDGES or word in _JOINED_HEDGES):
        return word
    after = None if text[end : end + _NEXT].isascii() else _AFTER.match(text, end)
    return after.group().strip() if after else None


def bound_at(text: str, start: int, end: int) -> Bound | None:
    """The bound that words make of the number at `start` to `end`; None where they make it none."""
    word = _lead(text, start)
    bound = _BOUNDS.get(word.lower()) or _JOINED_BOUNDS.get(word) if word is not None else None
    if bound is not None or text[end : end + _NEXT].isascii():
        return bound
    if _LEAST_AFTER.match(text, end):
        return Bound.AT_LEAST
    return Bound.AT_MOST if _MOST_AFTER.match(text, end) else None


def _lead(text: str, start: int) -> str | None:
    """The longest of all these words that ends where a number begins, emphasis left out."""
    open_ended = text[max(0, start - _LOOK) : start].rstrip("*_`")
    said = open_ended.rstrip()
    if not said.lower().endswith(_ANY):
        return None
    if said != open_ended:
        for word in _SPACED:
            if said[-len(word) :].lower() == word and not said[: -len(word)][-1:].isalpha():
                return said[-len(word) :]
    return next((word for word in _JOINED if said.endswith(word)), None)
