"""The memory that a CUDA context takes, which PyTorch does not count: by the card and by the release of CUDA.

Before CUDA 11.7 a context held all kernels of the libraries that a program links. Since then kernels are loaded when
they are first called, which PyTorch asks for from 1.13 on (pull request 86509).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from packaging.version import InvalidVersion, Version

from toolkit.facts.gpu import Card
from toolkit.facts.gpu_table import MIB, table

_BUILD = re.compile(r"cu(\d+)(\d)")
"""The release of CUDA in the label of a release of PyTorch, such as 2.1.1+cu118."""


def context_of(card: Card, versions: Mapping[str, str]) -> tuple[int, int]:
    """The least and the most that a context takes, in bytes. `versions` are releases by package (none: the newest)."""
    if loads_all(versions) and all(member.vendor == "NVIDIA" for member in card.members):
        return eager_context()
    return card.context_low, card.context_high


def eager_context() -> tuple[int, int]:
    """The least and the most, in bytes, on any NVIDIA card where a context holds all kernels."""
    low, high = table()["eager_context"]["mib"]
    return low * MIB, high * MIB


def loads_all(versions: Mapping[str, str]) -> bool:
    """Whether these releases are known to load all kernels when the context is made."""
    torch, built_with = _parsed(versions.get("torch"))
    named, _ = _parsed(versions.get("cuda"))
    cuda = named or built_with
    facts = table()["eager_context"]
    before_lazy = torch is not None and torch < Version(facts["torch"])
    return before_lazy or (cuda is not None and cuda < Version(facts["cuda"]))


@lru_cache(maxsize=256)
def _parsed(text: str | None) -> tuple[Version | None, Version | None]:
    """A release and the release of CUDA in its label; None for what cannot be read."""
    try:
        found = Version(text or "")
    except InvalidVersion:
        return None, None
    build = _BUILD.fullmatch(found.local or "")
    return found, Version(f"{build[1]}.{build[2]}") if build else None
