"""Releases of the libraries that documents name: which exist, their days, what each requires of the others.

The tables are package data, one file a package, read when first asked for. Each is complete up to the day on
which it was recorded.
"""

from __future__ import annotations

import json
from bisect import bisect
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.facts.names import MAX_NAME, UnknownName, nearest
from toolkit.frozen import frozen

if TYPE_CHECKING:
    from packaging.version import Version

DATA = Path(__file__).parent / "data" / "software"

MAX_VERSION = 64
"""Characters that a version may have."""

PACKAGES: Mapping[str, str | None] = {
    "accelerate": "2023-10-01",
    "axolotl": None,
    "bitsandbytes": "2023-10-01",
    "datasets": None,
    "deepspeed": None,
    "flash-attn": None,
    "huggingface-hub": None,
    "liger-kernel": None,
    "peft": "2023-10-01",
    "safetensors": None,
    "tokenizers": None,
    "torch": "2023-03-01",
    "transformers": "2023-10-01",
    "triton": None,
    "trl": "2023-10-01",
    "unsloth": "2024-09-01",
    "unsloth-zoo": "2024-09-01",
    "vllm": None,
}
"""The packages with a table, and since which day requirements are recorded (None: only versions and days)."""

WRITTEN_AS: Mapping[str, str] = {
    "flash-attention": "flash-attn",
    "flash-attention-2": "flash-attn",
    "flashattention": "flash-attn",
    "hf-hub": "huggingface-hub",
    "hf-transformers": "transformers",
    "liger": "liger-kernel",
    "pytorch": "torch",
}
"""Other names under which documents write a package."""


@frozen
class Release:
    """A release that the index has; `date` is the day of its first file (ISO).

    `requires` holds what it needs of the packages with a table, as PEP 508 strings, None where that is not
    recorded; `yanked` is the reason for which it was withdrawn ("" where none is given).
    """

    package: str
    version: str
    date: str
    requires: tuple[str, ...] | None = None
    yanked: str | None = None


@frozen
class UnknownRelease:
    """A version that the table does not have. `later`: newer than all in it, so nothing is known of it."""

    package: str
    version: str
    reason: str
    nearest: tuple[str, ...] = ()
    later: bool = False


def find_package(name: str) -> str | UnknownName:
    """Find the package that a document means by a name: letter case, `_`, `.` and spaces do not matter."""
    folded = "-".join(name.casefold().replace("_", " ").replace("-", " ").replace(".", " ").split())
    package = WRITTEN_AS.get(folded, folded)
    return package if package in PACKAGES else UnknownName(name[:MAX_NAME], nearest(package, PACKAGES))


def recorded(package: str) -> str:
    """Tell the day (ISO) up to which the table of a package is complete."""
    return str(_table(package)["recorded"])


def versions(package: str) -> tuple[str, ...]:
    """List all releases of a package, oldest first."""
    return tuple(_table(package)["releases"])


def release(package: str, version: str) -> Release | UnknownRelease | UnknownName:
    """Find the release of that version; "4.35" is 4.35.0, and a local part ("+cu128") does not matter."""
    name = find_package(package)
    if isinstance(name, UnknownName):
        return name
    table = _table(name)
    written = version if version in table["releases"] else None
    if written is None:
        asked = parse_version(version)
        if asked is None:
            return unreadable(name, version)
        known = _sorted_versions(name)
        written = dict(known).get(asked)
        if written is None:
            return _absent(name, version, asked, known)
    entry = table["releases"][written]
    requires = entry.get("requires")
    texts = None if requires is None else tuple(table["requirements"][index] for index in requires)
    return Release(name, written, entry["date"], texts, entry.get("yanked"))


def _absent(package: str, version: str, asked: Version, known: tuple[tuple[Version, str], ...]) -> UnknownRelease:
    place = bisect([parsed for parsed, _ in known], asked)
    if place == len(known):
        reason = f"newer than every release of {package} recorded on {recorded(package)}"
        return UnknownRelease(package, version, reason, (known[-1][1],), later=True)
    around = tuple(written for _, written in known[max(0, place - 1) : place + 1])
    reason = f"the package index had no {package} {version} on {recorded(package)}"
    return UnknownRelease(package, version, reason, around)


def unreadable(package: str, version: str) -> UnknownRelease:
    """Say that a text is no version."""
    return UnknownRelease(package, version[:MAX_VERSION], f"{version[:MAX_VERSION]!r} is no version")


@cache
def _table(package: str) -> Mapping[str, Any]:
    table: Mapping[str, Any] = json.loads((DATA / f"{package}.json").read_text(encoding="utf-8"))
    return table


@cache
def _sorted_versions(package: str) -> tuple[tuple[Version, str], ...]:
    from packaging.version import Version  # noqa: PLC0415 - imported only where a version is compared

    return tuple(sorted((Version(version), version) for version in versions(package)))


def parse_version(version: str) -> Version | None:
    """Read a version without its local part ("+cu128"), None for what is none."""
    from packaging.version import InvalidVersion, Version  # noqa: PLC0415 - as above

    try:
        return Version(Version(version).public) if len(version) <= MAX_VERSION else None
    except InvalidVersion:
        return None
