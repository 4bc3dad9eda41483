"""Brings the release tables up to date from the package index, when asked: nothing else uses the network."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from pathlib import Path
from urllib.parse import urlsplit

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from toolkit.facts.releases import DATA, MAX_VERSION, PACKAGES
from toolkit.frozen import frozen

INDEX = "https://pypi.org/pypi"
"""The public JSON API: `<index>/<package>/json` and `<index>/<package>/<version>/json`."""

PACKAGE_LIMIT = 64 * 2**20
"""Bytes that the document of a package may have (torch's has about 2 MiB)."""

RELEASE_LIMIT = 8 * 2**20
"""Bytes that the document of one release may have."""

Document = Mapping[str, object]
Fetch = Callable[[str, int], Document]


class FetchError(Exception):
    """The index did not give what was asked for; the message says why."""


@frozen
class Refresh:
    """What a refresh did: releases added and dropped by package, and what went wrong, one sentence each."""

    added: Mapping[str, tuple[str, ...]]
    dropped: Mapping[str, tuple[str, ...]]
    problems: tuple[str, ...]


def fetch_json(url: str, limit: int) -> Document:
    """Fetch the JSON object at an https address, of at most `limit` bytes."""
    if urlsplit(url).scheme != "https":
        raise FetchError(f"{url} is not an https address")
    request = urllib.request.Request(  # noqa: S310 - the scheme is https, checked above
        url, headers={"Accept": "application/json", "User-Agent": "vram-toolkit"}
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310 - as above
            if urlsplit(response.url).scheme != "https":
                raise FetchError(f"{url} leads to {response.url}, which is not an https address")
            body = response.read(limit + 1)
    except (urllib.error.URLError, OSError) as problem:
        raise FetchError(f"{url}: {problem}") from problem
    if len(body) > limit:
        raise FetchError(f"{url} has more than {limit:,} bytes")
    try:
        document = json.loads(body)
    except ValueError as problem:
        raise FetchError(f"{url} is not JSON: {problem}") from problem
    if not isinstance(document, dict):
        raise FetchError(f"{url} is not a JSON object")
    return document


def refresh(
    folder: Path = DATA,
    *,
    packages: Iterable[str] = tuple(PACKAGES),
    index: str = INDEX,
    requirements_limit: int = 40,
    fetch: Fetch = fetch_json,
    today: date | None = None,
) -> Refresh:
    """Rewrite the tables of `packages` in `folder`.

    The requirements of releases that have none recorded are asked for too, of the `requirements_limit` newest
    of each package at most. What could not be had is told and left as it was.
    """
    added: dict[str, tuple[str, ...]] = {}
    dropped: dict[str, tuple[str, ...]] = {}
    problems: list[str] = []
    recorded = (today or date.today()).isoformat()
    for package in packages:
        if package not in PACKAGES:
            problems.append(f"{package!r} has no table; known are {', '.join(PACKAGES)}")
            continue
        before = _known(folder / f"{package}.json")
        try:
            releases = releases_of(fetch(f"{index}/{package}/json", PACKAGE_LIMIT), package)
        except FetchError as problem:
            problems.append(str(problem))
            continue
        for version in releases.keys() & before.keys():
            if "requires" in before[version]:
                releases[version]["requires"] = before[version]["requires"]
        problems += _ask_requirements(package, releases, index, requirements_limit, fetch)
        write_table(folder / f"{package}.json", package, recorded, releases)
        added[package] = tuple(version for version in releases if version not in before)
        dropped[package] = tuple(version for version in before if version not in releases)
    return Refresh(added, dropped, tuple(problems))


def releases_of(document: Document, package: str) -> dict[str, dict[str, object]]:
    """List the releases in a package's document that have a file, in the order of their versions."""
    info = document.get("info")
    listed = document.get("releases")
    if not isinstance(info, dict) or canonicalize_name(str(info.get("name"))) != package:
        raise FetchError(f"the index answered for {package} with another package")
    if not isinstance(listed, dict):
        raise FetchError(f"the index lists no releases of {package}")
    found: dict[str, dict[str, object]] = {}
    for version, files in listed.items():
        if isinstance(files, list) and files and _is_version(version):
            found[version] = _release(files)
    newest, requires = str(info.get("version")), info.get("requires_dist")
    if newest in found and PACKAGES[package] and isinstance(requires, list):
        found[newest]["requires"] = table_requirements(requires)
    if not found:
        raise FetchError(f"the index lists no releases of {package}")
    return dict(sorted(found.items(), key=lambda item: Version(item[0])))


def _is_version(text: str) -> bool:
    if len(text) > MAX_VERSION:
        return False
    try:
        Version(text)
    except InvalidVersion:
        return False
    return True


def _release(files: list[object]) -> dict[str, object]:
    known = [file for file in files if isinstance(file, dict)]
    release: dict[str, object] = {}
    days = sorted(str(file.get("upload_time_iso_8601", ""))[:10] for file in known)
    try:
        release["date"] = date.fromisoformat(days[0] if days else "").isoformat()
    except ValueError as problem:
        raise FetchError(f"a release has no readable day: {problem}") from problem
    if known and all(file.get("yanked") for file in known):
        release["yanked"] = str(known[0].get("yanked_reason") or "")[:300]
    return release


def table_requirements(requires_dist: Iterable[object]) -> list[str]:
    """List the requirements about packages that the tables have, those of optional extras left out."""
    kept = []
    for text in requires_dist:
        try:
            requirement = Requirement(str(text)[:2_000])
        except InvalidRequirement:
            continue
        name = canonicalize_name(requirement.name)
        if name in PACKAGES and "extra" not in str(requirement.marker or ""):
            kept.append(str(requirement))
    return sorted(set(kept))


def _ask_requirements(
    package: str, releases: dict[str, dict[str, object]], index: str, limit: int, fetch: Fetch
) -> list[str]:
    since = PACKAGES[package]
    wanted = [
        version
        for version, release in releases.items()
        if since and "requires" not in release and str(release.get("date", "")) >= since
        if not Version(version).is_prerelease
    ]
    problems = []
    for version in wanted[::-1][:limit]:
        try:
            info = fetch(f"{index}/{package}/{version}/json", RELEASE_LIMIT).get("info")
        except FetchError as problem:
            problems.append(str(problem))
            continue
        listed = info.get("requires_dist") if isinstance(info, dict) else None
        if isinstance(listed, list):
            releases[version]["requires"] = table_requirements(listed)
    return problems


def _known(path: Path) -> dict[str, dict[str, object]]:
    if not path.is_file():
        return {}
    table = json.loads(path.read_text(encoding="utf-8"))
    texts = table["requirements"]
    releases: dict[str, dict[str, object]] = {}
    for version, entry in table["releases"].items():
        releases[version] = dict(entry)
        if "requires" in entry:
            releases[version]["requires"] = [texts[index] for index in entry["requires"]]
    return releases


def write_table(path: Path, package: str, recorded: str, releases: Mapping[str, dict[str, object]]) -> None:
    """Write a release table whole or not at all: one release a line, each requirement's text once."""
    places: dict[str, int] = {}
    lines = []
    for version, release in releases.items():
        entry = dict(release)
        requires = entry.get("requires")
        if isinstance(requires, list):
            entry["requires"] = [places.setdefault(text, len(places)) for text in requires]
        lines.append(f"  {_json(version)}: {_json(entry)}")
    fields = {
        "package": _json(package),
        "recorded": _json(recorded),
        "source": _json(f"{INDEX}/{package}/json"),
        "requirements": "[" + ",".join(f"\n  {_json(text)}" for text in places) + "\n ]",
        "releases": "{\n" + ",\n".join(lines) + "\n }",
    }
    _write(path, "{\n" + ",\n".join(f" {_json(key)}: {text}" for key, text in fields.items()) + "\n}\n")


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _write(path: Path, text: str) -> None:
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
