"""What published records call things, and what a scenario calls them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from toolkit.documents.scan.names import gpus_in, models_in
from toolkit.facts.gpu import Card
from toolkit.facts.gpus import find_gpu
from toolkit.facts.models import ALIASES, MODEL_IDS, load_model
from toolkit.facts.names import UnknownName
from toolkit.spec.fields.names import PACKAGES

DATA = Path(__file__).parents[1] / "data" / "names.json"
_REMARK = re.compile(r"(?:(?<!\s)\s+)?\([^()]*\)")  # spaces are followed from the first of them alone
_COUNT = re.compile(r"^\s*\d+ ?[x×*]\s*(?=\D)|(?<!\s)\s+[x×*] ?\d+$")
_MEMORY = re.compile(r"\d ?gi?b\b", re.IGNORECASE)
_SEVERAL = re.compile(r"[+&]|\band\b|\bor\b")
_TOLD = re.compile(r"\((\d{1,7}(?:\.\d{1,3})?) ?(mi?b|gi?b)\)", re.IGNORECASE)
"""A remark that is nothing but the memory of the card, as nvidia-smi or torch says it."""
_UNITS = {"m": 1 << 20, "g": 1 << 30}
_OFF = 0.2
"""How far a card's memory may lie from what it is sold with: ECC, and what a driver keeps, take up to a tenth."""
_STORED = re.compile(
    r"[-_](?:gptq|awq|fp8|bnb|unsloth|quantized|4bit|8bit|int4|int8|w4a16|w8a8|w8a16)(?:[-_.].*)?$", re.IGNORECASE
)
"""What the name of a copy says of the form of its weights."""
_LISTED = re.compile(r"([A-Za-z][\w-]*) v?(\d[\w.+]*?)\.?")
_VERSION = re.compile(r"v?([0-9]+(?:\.[0-9A-Za-z]+)*(?:[-+.][0-9A-Za-z.]+)?)")
_KNOWN = frozenset(MODEL_IDS)


@cache
def vocabulary() -> Mapping[str, Any]:
    """The tables, as they are written."""
    read: Mapping[str, Any] = json.loads(DATA.read_text(encoding="utf-8"))
    return read


def word(table: str, published: str | None) -> Any:
    """What a published word means in one of the tables; None for one that is not in it."""
    return vocabulary()[table].get(published)


def model_of(published: str) -> str | Mapping[str, Any]:
    """The model with the same shapes: a verified one where there is one, else the name as published."""
    tables = vocabulary()
    if published in tables["configs"]:
        config: Mapping[str, Any] = tables["configs"][published]
        return config
    name = published
    while name not in _KNOWN:
        if name in tables["models"]:
            return str(tables["models"][name])
        ending = next((one for one in tables["endings"] if name.endswith(one)), None)
        if ending is None:
            return _by_other_names(published)
        name = name.removesuffix(ending)
    return name


def _by_other_names(published: str) -> str:
    """A verified model by an alias, a name with the form of its weights behind it, or a name without its makers."""
    if "/" in published and not isinstance(load_model(published), UnknownName):
        return published
    plain = _STORED.sub("", published)
    for name in (plain, ALIASES.get(plain, plain)):
        if name in _KNOWN:
            return name
    text = plain.rpartition("/")[2]
    found = models_in(text)
    whole = len(found) == 1 and len(found[0].name) == len(text)
    return found[0].id or published if found and (whole or ("/" not in published and len(found) == 1)) else published


def checkpoint_groups(name: str | None) -> int | None:
    """Inputs that share a scale in a published checkpoint, where it has other groups than of 128; -1: all of them."""
    found: int | None = vocabulary()["groups"].get(name)
    return found


def gpu_of(published: str | None) -> str | None:
    """The GPU's name in the table of GPUs; None where the record names none that is in it, or several.

    A card that was given other memory than its maker sells it with, such as an RTX 4090 of 49,140 MiB, is not in it.
    """
    if published is None:
        return None
    plain = _COUNT.sub("", _REMARK.sub("", published), count=1)
    found = find_gpu(plain)
    if not isinstance(found, UnknownName):
        return found.name if _has_as_much(found, published, plain) else None
    if _MEMORY.search(plain):
        return None
    named = {one.card.name for one in gpus_in(published)}
    return named.pop() if len(named) == 1 and not _SEVERAL.search(published) else None


def _has_as_much(card: Card, published: str, plain: str) -> bool:
    """Whether the memory behind a name may be that of the card; beside a number of cards it may be theirs."""
    told = _TOLD.search(published)
    if told is None or plain != _REMARK.sub("", published):
        return True
    amount = float(told[1]) * _UNITS[told[2][0].casefold()]
    return (1 - _OFF) * card.usable_low <= amount <= (1 + _OFF) * card.usable_high


def _listed(text: object) -> dict[str, str]:
    """The releases of a text that lists nothing but names and numbers: "PyTorch 2.0.1, transformers 4.35."."""
    parts = [_LISTED.fullmatch(part.strip()) for part in text.split(",")] if isinstance(text, str) else []
    listed = {part[1]: part[2] for part in parts if part}
    return listed if len(listed) == len(parts) else {}


Bounds = tuple[tuple[str, str], ...]
"""What a release lies within: signs and releases, such as (">=", "1.10") and ("<", "2")."""

_BOUND = re.compile(r"\s*(>=|<=|>|<)\s*v?(\d[\w.]{0,30})\s*")


def bounds_of(published: Mapping[str, str | None]) -> dict[str, Bounds]:
    """The bounds that a record states of releases, as requirements do, by the names of packages in a stack."""
    tables = vocabulary()
    found = {}
    for written, version in published.items():
        package = tables["packages"].get(written, written)
        parts = [_BOUND.fullmatch(part) for part in version.split(",")] if isinstance(version, str) else []
        if package in PACKAGES and parts and all(parts):
            found[package] = tuple((part[1], part[2]) for part in parts if part)
    return dict(sorted(found.items()))


def versions_of(published: Mapping[str, str | None]) -> dict[str, str]:
    """The releases that a record states, by the names of packages in a stack; commits and remarks are left out."""
    tables = vocabulary()
    found = {}
    for written, version in {**_listed(published.get("text")), **published}.items():
        package = tables["packages"].get(written, written)
        text = version if isinstance(version, str) else ""
        match = _VERSION.match(text)
        if package in PACKAGES and match and (match.end() == len(text) or text[match.end()] == " "):
            found[package] = match[1]
    return dict(sorted(found.items()))
