"""What releases allow of each other, and since when one knows an architecture, a format or an option."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.facts.names import UnknownName
from toolkit.facts.releases import (
    PACKAGES,
    Release,
    UnknownRelease,
    find_package,
    parse_version,
    recorded,
    release,
    unreadable,
    versions,
)
from toolkit.frozen import frozen

if TYPE_CHECKING:
    from packaging.version import Version

__all__ = [
    "PACKAGES",
    "Allowed",
    "Conflict",
    "Release",
    "Support",
    "UnknownRelease",
    "allows",
    "conflicts",
    "features",
    "find_package",
    "first_support",
    "recorded",
    "release",
    "supports",
    "versions",
]

SUPPORT = Path(__file__).parent / "data" / "support.json"

ENVIRONMENT: Mapping[str, str] = {
    "implementation_name": "cpython",
    "os_name": "posix",
    "platform_machine": "x86_64",
    "platform_system": "Linux",
    "python_version": "3.12",
    "sys_platform": "linux",
}
"""Where a requirement with a condition is judged: Linux on x86-64, which documents about training mean."""


@frozen
class Allowed:
    """Whether a release allows another package's version; None where its requirements are not recorded.

    `requirement` is what it says about the other package, as written; None where it says nothing.
    """

    answer: bool | None
    requirement: str | None = None


@frozen
class Conflict:
    """Two versions of one stack of which the first forbids the second by `requirement`."""

    package: str
    version: str
    other: str
    other_version: str
    requirement: str


@frozen
class Support:
    """Since which release a package knows a feature, and how that was found out."""

    package: str
    feature: str
    kind: str
    since: str
    how: str
    source: str


def allows(package: str, version: str, other: str, other_version: str) -> Allowed | UnknownRelease | UnknownName:
    """Judge whether a release allows a version of another package, by its own unconditional requirements."""
    found = release(package, version)
    other_name = find_package(other)
    if not isinstance(found, Release):
        return found
    if isinstance(other_name, UnknownName):
        return other_name
    asked = parse_version(other_version)
    if asked is None:
        return unreadable(other_name, other_version)
    if found.requires is None:
        return Allowed(None)
    about = [text for text in found.requires if _concerns(text, other_name)]
    forbids = [text for text in about if not _contains(text, asked)]
    return Allowed(not forbids, "; ".join(forbids or about) or None)


def conflicts(stack: Mapping[str, str]) -> tuple[Conflict, ...]:
    """List every pair of a stack (package -> version) that the requirements of one of the two forbid."""
    found = []
    for (package, version), (other, other_version) in permutations(stack.items(), 2):
        judged = allows(package, version, other, other_version)
        if isinstance(judged, Allowed) and judged.answer is False and judged.requirement:
            found.append(Conflict(package, version, other, other_version, judged.requirement))
    return tuple(found)


def first_support(package: str, feature: str) -> Support | None:
    """Tell since which release a package knows an architecture (a `model_type`), format or option."""
    name = find_package(package)
    if isinstance(name, UnknownName):
        return None
    asked = _feature(feature)
    for kind, group in _support().get(name, {}).items():
        written = group["written_as"].get(asked, asked)
        since = group["since"].get(written)
        if since is not None:
            return Support(name, written, kind, since, group["how"], group["source"])
    return None


def features(package: str) -> tuple[str, ...]:
    """List every feature of a package that `first_support` knows."""
    return tuple(name for group in _support().get(package, {}).values() for name in group["since"])


def supports(package: str, version: str, feature: str) -> bool | None:
    """Tell whether a version knows a feature; None where the feature or the version is not known."""
    support = first_support(package, feature)
    asked = parse_version(version)
    since = None if support is None else parse_version(support.since)
    return None if asked is None or since is None else asked >= since


def _feature(name: str) -> str:
    return "_".join(name.casefold().replace("-", " ").replace("_", " ").split())


@cache
def _support() -> Mapping[str, Any]:
    table: Mapping[str, Any] = json.loads(SUPPORT.read_text(encoding="utf-8"))
    return table


def _concerns(requirement: str, package: str) -> bool:
    from packaging.requirements import Requirement  # noqa: PLC0415 - as above

    parsed = Requirement(requirement)
    applies = parsed.marker is None or parsed.marker.evaluate(dict(ENVIRONMENT))
    return applies and find_package(parsed.name) == package


def _contains(requirement: str, version: Version) -> bool:
    from packaging.requirements import Requirement  # noqa: PLC0415 - as above

    return Requirement(requirement).specifier.contains(version, prereleases=True)
