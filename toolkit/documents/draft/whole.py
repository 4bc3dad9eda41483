"""The models, settings and words that a document names anywhere: candidates where a figure names none."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from toolkit.documents.document import Document
from toolkit.documents.draft import words
from toolkit.documents.scan.context import named_in
from toolkit.documents.scan.names import models_in, size_in_name
from toolkit.facts.models import load_model
from toolkit.facts.names import UnknownName

_MOST_LINES: Final = 20_000
_LONGEST: Final = 2_000
_OPENING: Final = 2
_OFTEN: Final = 15
_FAMILY: Final = re.compile(r"(?:meta-)?([a-z]+)")
_SHORT: Final = re.compile(r"\b([A-Za-z]{3,20})[ -]([0-9]{1,3}(?:\.[0-9])?)[bB]\b")
_NUMBER: Final = re.compile(r"[0-9][0-9,]*[kK]?")


@dataclass(frozen=True)
class Whole:
    """What a document names, by field, each with the first line that names it.

    `theme` is a word of software or hardware that it speaks of often. `other_means` are offsets of words that change
    what every figure around them may mean, with the words.
    """

    named: Mapping[str, Mapping[str, int]]
    model: str | None
    trains: bool
    forms: frozenset[str]
    opening: int
    other_means: tuple[tuple[int, str], ...]
    by_family: Mapping[tuple[str, str], str]
    theme: str | None

    def short_named(self, text: str) -> str | None:
        """The model that a text names by its family and size alone: "Qwen 3B" where the document names Qwen2.5-3B."""
        keys = {(found[1].casefold(), found[2].casefold()) for found in _SHORT.finditer(text)}
        meant = {self.by_family[key] for key in keys if key in self.by_family}
        return next(iter(meant)) if len(meant) == 1 else None

    def means_in(self, start: int, end: int) -> str | None:
        """The first word between two offsets that changes what figures mean; None where there is none."""
        at = bisect_left(self.other_means, (start, ""))
        return self.other_means[at][1] if at < len(self.other_means) and self.other_means[at][0] < end else None

    def numbers(self, field: str) -> dict[int, int]:
        """The numbers that the document names for a field, with their lines."""
        return {number: line for text, line in self.named.get(field, {}).items() if (number := number_of(text))}


def read_whole(document: Document) -> Whole:
    """Reads a document, as it was meant, line by line."""
    text = document.text
    named: dict[str, dict[str, int]] = {}
    for line in range(min(len(document.lines), _MOST_LINES)):
        for field, names in named_in(document.line_text(line + 1)[:_LONGEST]).items():
            for name in sorted(names):
                named.setdefault(field, {}).setdefault(name, line + 1)
    headings = document.headings
    opening = headings[_OPENING - 1].start if len(headings) >= _OPENING else min(len(text), _LONGEST)
    other_means = tuple((found.start(), found.group()) for found in words.AROUND.finditer(text))
    often = Counter(word.casefold() for _, word in other_means).most_common(1)
    return Whole(
        named,
        _model(named.get("model", {}), text),
        words.TRAINING.search(text) is not None,
        frozenset(name for name, pattern in words.FORMATS.items() if pattern.search(text)),
        opening,
        other_means,
        _by_family(name for name in named.get("model", {}) if "/" in name),
        often[0][0] if often and often[0][1] >= _OFTEN else None,
    )


def _by_family(models: Iterable[str]) -> dict[tuple[str, str], str]:
    """The known models of a document by family and size; none where several differ in their count."""
    found: dict[tuple[str, str], str] = {}
    counts: dict[tuple[str, str], set[int | None]] = {}
    for model in models:
        key = _family(model.rpartition("/")[2])
        found.setdefault(key, model)
        counts.setdefault(key, set()).add(parameters_of(model))
    return {key: model for key, model in found.items() if len(counts[key]) == 1 and all(key)}


def _family(name: str) -> tuple[str, str]:
    letters = _FAMILY.match(name.casefold())
    return letters[1] if letters else "", size_digits(size_in_name(name))


@lru_cache(maxsize=256)
def parameters_of(model: str) -> int | None:
    """The parameters of a known model, where they were counted."""
    facts = load_model(model)
    return None if isinstance(facts, UnknownName) else facts.verified_params


def _model(named: Mapping[str, int], text: str) -> str | None:
    """The one model that a document is about: the only known one, where no size of another is named either."""
    known = [name for name in named if "/" in name]
    if len(known) != 1:
        return None
    size = size_in_name(known[0])
    others = {found[1].casefold() for found in words.SIZES.finditer(text)}
    strange = [name for name in named if "/" not in name and size_in_name(name) not in {size, None}]
    return known[0] if not strange and others <= {size_digits(size)} else None


def size_digits(size: str | None) -> str:
    """The number of a size: "7" of "7B"."""
    return size[:-1].casefold() if size else ""


def number_of(text: str) -> int | None:
    """A whole number as settings write it: "4k" is 4,096."""
    if _NUMBER.fullmatch(text) is None:
        return None
    digits = text.rstrip("kK").replace(",", "")
    return int(digits) * (1024 if text[-1] in "kK" else 1)


def models_of(text: str) -> frozenset[str]:
    """The known models that a text names."""
    return frozenset(model.id for model in models_in(text) if model.id is not None)
