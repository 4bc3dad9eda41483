"""Names of GPUs and of models in running text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache, lru_cache
from itertools import pairwise
from typing import Final

from toolkit.facts.gpu import Gpu, GpuVariants
from toolkit.facts.gpu_table import gpus, table
from toolkit.facts.gpus import find_gpu, key_of
from toolkit.facts.models import ALIASES, MODEL_IDS
from toolkit.frozen import frozen

_GPU: Final = re.compile(
    r"(?:(?<![A-Za-z0-9-])|(?<=[0-9][xX×])(?<!(?<![1-9])0[xX]))"
    r"(?:(?:NVIDIA|Nvidia|nvidia|GeForce|Tesla|Quadro|AMD|Radeon|Instinct)[ -]){0,3}"
    r"(?:(?:RTX|GTX|RX|TITAN|Titan|rtx|gtx)(?:[ -]?(?:PRO|Pro)(?![A-Za-z]))?[ -]?[A-Za-z]{0,3}[0-9]{0,4}"
    r"|[ABHLPTV][0-9]{1,4}[A-Z]?|GH?B?200|B[23]00|H[12]00|MI[0-9]{2,3}[A-Za-z]?|V100S?"
    r"|[2-5]0[5-9]0(?=[ -]?(?:Ti|TI|SUPER|Super)\b|s?\s?(?:GPUs?|cards?|显卡|\([0-9]{1,2} ?G|[0-9]{1,2} ?GB)))"
    r"(?:[ -]?(?:Ti|TI|SUPER|Super|XTX|XT|Laptop|Mobile|Max-Q|Ada|PCI[eE]|SXM[0-9]?|NVL|D|Blackwell))*"
    r"(?=s?(?![A-Za-z0-9]|\.[0-9]))"
)
"""Names that look like those of cards; "4xA100" and the plural "A100s" hold one, "0xA100" does not."""

_WORD: Final = re.compile(r"[A-Za-z]+|[0-9]+(?:\.[0-9]+)*|[-_. /]")
_PART: Final = re.compile(r"[A-Za-z0-9]+(?:\.[0-9]+)*[A-Za-z]*")
_GENERIC: Final = re.compile(
    r"\b([A-Z][A-Za-z]{1,20})[A-Za-z0-9.]{0,12}(?:[- ][A-Za-z0-9.]{1,12}){0,2}?[- ]\d{1,3}(?:\.\d{1,2})?[bB]\b"
)
_COMMON: Final = frozenset(
    (
        "Fits",
        "Fit",
        "The",
        "For",
        "With",
        "Use",
        "Uses",
        "Run",
        "Runs",
        "Train",
        "Training",
        "Up",
        "Each",
        "All",
        "Only",
    )
) | frozenset(
    ("Try", "Our", "This", "From", "Full", "Total", "About", "And", "Larger", "Smaller", "Most", "Load", "Fine")
)
_MOST_PARTS: Final = 7
_LONGEST: Final = 2_000


@frozen
class Named:
    """A name and where it stands in the text it was found in."""

    start: int
    end: int
    name: str


@frozen
class NamedGpu(Named):
    """A card, or the cards of one name."""

    card: Gpu | GpuVariants


@frozen
class NamedModel(Named):
    """A model: its id where it is a known one."""

    id: str | None


@lru_cache(maxsize=4096)
def gpus_in(text: str) -> tuple[NamedGpu, ...]:
    """The GPUs that a text names, in order; names that no table has are left out. At most 2,000 characters are read."""
    found: list[NamedGpu] = []
    for match in _GPU.finditer(text[:_LONGEST]):
        card = _card(match.group())
        if card is not None:
            found.append(NamedGpu(*match.span(), match.group(), card))
    return tuple(found)


def gpu_spans(text: str) -> list[tuple[int, int]]:
    """Where names stand that look like those of GPUs, known or not: the digits in them are no values."""
    return [match.span() for match in _GPU.finditer(text)]


def _card(name: str) -> Gpu | GpuVariants | None:
    if key_of(name) not in _gpu_keys():
        return None
    card = find_gpu(name)
    return card if isinstance(card, Gpu | GpuVariants) else None


@cache
def _gpu_keys() -> frozenset[str]:
    names = [name for gpu in gpus() for name in (gpu.name, *gpu.aliases)]
    names += [name for group in table()["groups"] for name in (group["name"], *group["aliases"])]
    return frozenset(map(key_of, names))


@lru_cache(maxsize=4096)
def models_in(text: str) -> tuple[NamedModel, ...]:
    """The models that a text names, in order, each by the longest name known. At most 2,000 characters are read."""
    text = text[:_LONGEST]
    parts = list(_PART.finditer(text))
    found: list[NamedModel] = []
    skip = 0
    joined = [_joined(text, one, other) for one, other in pairwise(parts)]
    for first, part in enumerate(parts):
        if first < skip or part.group().casefold()[:3] not in _beginnings():
            continue
        farthest = first
        while farthest < len(joined) and farthest + 1 < first + _MOST_PARTS and joined[farthest]:
            farthest += 1
        for last in range(farthest, first - 1, -1):
            ids = _model_keys().get(_fold(text[part.start() : parts[last].end()]))
            if ids is not None:
                found.append(NamedModel(part.start(), parts[last].end(), text[part.start() : parts[last].end()], ids))
                skip = last + 1
                break
    if found:
        return tuple(found)
    generic = (one for one in _GENERIC.finditer(text) if one[1] not in _COMMON)
    return tuple(NamedModel(*one.span(), one.group(), None) for one in generic)


def size_in_name(name: str) -> str | None:
    """The size that a model's name gives, as written: "13b" of "Llama-2-13b-chat"."""
    sizes = re.findall(r"(?<![0-9.x])([0-9]{1,4}(?:\.[0-9]{1,2})?[bBmM])(?![A-Za-z0-9])", name)
    return str(sizes[-1]) if len(sizes) == 1 else None


def _joined(text: str, one: re.Match[str], other: re.Match[str]) -> bool:
    """Whether no more than one space, hyphen or underscore stands between two parts of a name."""
    gap = text[one.end() : other.start()]
    return len(gap) <= 1 and gap in "-_ "


def _fold(name: str) -> str:
    return re.sub(r"[-_ ]", "", name.casefold())


@cache
def _model_keys() -> Mapping[str, str]:
    """Folded names to ids; a name that models of two makers share is none of theirs, nor is one without a digit."""
    keys: dict[str, str] = {}
    shared: set[str] = set()
    for known in (*MODEL_IDS, *ALIASES):
        name = known.partition("/")[2]
        meant = ALIASES.get(known, known)
        for short in {name, re.sub(r"-hf$", "", name)}:
            key = _fold(short)
            if keys.setdefault(key, meant) != meant:
                shared.add(key)
    return {key: name for key, name in keys.items() if key not in shared and len(key) > 4}


@cache
def _beginnings() -> frozenset[str]:
    return frozenset(key[:3] for key in _model_keys())
