"""Parts and multiples of memory as people write them: "half the memory", "1/4 of the VRAM", "by a factor of 3"."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from toolkit.frozen import frozen


@frozen
class Edit:
    """A piece of a text, and what is read in its place."""

    start: int
    end: int
    text: str


_MEMORY: Final = (
    r"(?:v-?ram|(?:gpu |peak |video )?memory(?! bandwidth)|memory[- ](?:usage|use|footprint|consumption|requirements?)"
    r"|footprint|(?:model|file|checkpoint) sizes?|mémoire|memoria|memória|(?:grafik)?speicher\w{0,20}"
    r"|显存(?:占用)?|内存(?:占用)?|メモリ(?:使用量|消費量?)?|메모리(?: ?사용량)?|памят\w{1,8})"
)
_PARTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "half": "0.5x", "halves": "0.5x", "halve": "0.5x", "halved": "0.5x", "halving": "0.5x",
        "a quarter": "0.25x", "one quarter": "0.25x", "a third": "0.33x", "one third": "0.33x",
        "moitié": "0.5x", "mitad": "0.5x", "metade": "0.5x", "hälfte": "0.5x", "halbiert": "0.5x",
        "twice": "2x", "double": "2x", "doubles": "2x", "triple": "3x", "doppelt so viel": "2x", "el doble": "2x",
        "le double": "2x", "两倍": "2x", "一半": "0.5x", "减半": "0.5x", "半分": "0.5x", "절반": "0.5x",
    }
)  # fmt: skip
_WORDS: Final = "|".join(sorted(_PARTS, key=len, reverse=True))
_FRACTION: Final = r"[1-3]/(?:10|16|32|[2-9])(?![0-9/])"
_OF: Final = rf"(?: (?:of |as much |de |du |der |des |da |of the |the |its |el |la |den ){{0,3}}|の|的){{0,1}}{_MEMORY}"
_BEFORE: Final = re.compile(
    rf"(?<![A-Za-z0-9/.])(?P<part>{_WORDS}|{_FRACTION}){_OF}(?! bandwidth)"
    rf"|{_MEMORY}[^.,;。、\n\d|]{{0,32}}?(?<![A-Za-z0-9/.-])(?P<last>{_WORDS}"
    rf"|{_FRACTION})(?![A-Za-z0-9/-])(?![ -]precision)",
    re.IGNORECASE,
)
_FOLD: Final = re.compile(
    r"(?<![A-Za-z0-9.-])[1-9][0-9]{0,2}(?:\.[0-9])?(?P<fold>[- ]?fold\b| (?:times|fois|veces|vezes|mal"
    r"|раза?)(?![A-Za-z])"
    r"(?= (?:less|fewer|smaller|lower|lighter|more|larger|bigger|higher|the|as|moins|plus|menos|mayor|weniger"
    r"|kleiner)\b|[.,;)\n]|\Z)|倍)"
)
_FACTOR: Final = re.compile(
    rf"{_MEMORY}[^.,;。、\n\d|]{{0,32}}?\b(?:(?:by )?a factor of|par|um den faktor|durch|por(?: un factor de)?)"
    r" [*_~]{0,2}(?P<number>[1-9](?:\.[0-9])?)()(?![\w%/]|[.,][0-9])(?! ?(?:to|x|×|gpu|step|token|-))",
    re.IGNORECASE,
)
_HINTS: Final = r"half|halv|quarter|third|moiti|mitad|metade|hälfte|halbiert|半|절반|twice|doub|dopp|doble|tripl|两倍"
_MAY: Final = re.compile(
    rf"{_HINTS}|factor|faktor|[0-9](?:[- ]?fold| times| fois| veces| vezes| mal| раз|倍)|\bpar [1-9]"
    rf"|\bdurch [1-9]|\bpor [1-9]|[1-3]/[1-9]",
    re.IGNORECASE,
)


_MEMORIES: Final = (
    "vram", "v-ram", "memory", "footprint", " size", "mémoire", "memoria", "memória", "speicher", "显存", "内存",
    "メモリ", "메모리", "памят",
)  # fmt: skip
"""What a word of memory has in it, in small letters."""


def multiples(text: str) -> Iterator[Edit]:
    """A ratio in place of each part or multiple of memory that is written in words or as a fraction."""
    at = 0
    for line in text.split("\n"):  # what is said of memory stands in its line
        if _MAY.search(line):
            yield from _of_line(line, at)
        at += len(line) + 1


def _of_line(line: str, at: int) -> Iterator[Edit]:
    yield from (Edit(at + found.start("fold"), at + found.end("fold"), "x") for found in _FOLD.finditer(line))
    small = line.casefold()
    if not any(name in small for name in _MEMORIES):
        return
    for found in _BEFORE.finditer(line):
        name = "part" if found["part"] else "last"
        said = found[name].casefold()
        yield Edit(at + found.start(name), at + found.end(name), _PARTS.get(said) or _ratio(said))
    for found in _FACTOR.finditer(line):
        yield Edit(at + found.start(2), at + found.end(2), "x")


def _ratio(fraction: str) -> str:
    """A fraction as a ratio: "1/4" is "0.25x"."""
    above, below = map(int, fraction.split("/"))
    return f"{above / below:.3f}".rstrip("0") + "x"
