"""What published records call things, and what a scenario calls them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from toolkit.facts.gpus import find_gpu
from toolkit.facts.models import MODEL_IDS
from toolkit.facts.names import UnknownName
from toolkit.spec.fields.names import PACKAGES

DATA = Path(__file__).parents[1] / "data" / "names.json"
_REMARK = re.compile(r"\s*\([^()]*\)")
_COUNT = re.compile(r"\s*\d+x\s+")
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
            return published
        name = name.removesuffix(ending)
    return name


def gpu_of(published: str | None) -> str | None:
    """The GPU's name in the table of GPUs; None where the record names none that is in it."""
    if published is None:
        return None
    found = find_gpu(_COUNT.sub("", _REMARK.sub("", published), count=1))
    return None if isinstance(found, UnknownName) else found.name


def versions_of(published: Mapping[str, str | None]) -> dict[str, str]:
    """The releases that a record states, by the names of packages in a stack; commits and remarks are left out."""
    tables = vocabulary()
    found = {}
    for written, version in published.items():
        package = tables["packages"].get(written, written)
        match = _VERSION.match(version or "")
        if package in PACKAGES and match and (match.end() == len(version or "") or (version or "")[match.end()] == " "):
            found[package] = match[1]
    return dict(sorted(found.items()))
