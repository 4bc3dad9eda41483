"""Finds the specs in folders."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from toolkit.finding import Finding, Place
from toolkit.spec.paths import real_path, shown_path

SPEC_NAMES = ("claims.yaml", "claims.yml")
READINGS_HEADER, READINGS = "source.yaml", "readings.jsonl"
"""The two files of a folder of published readings."""

MAX_FILES = 200_000
_PASSED_OVER = frozenset({"evidence", "node_modules", "__pycache__", "venv"})


def is_passed_over(name: str) -> bool:
    """Whether folders of that name are skipped."""
    return name in _PASSED_OVER or name.startswith(".")


def is_spec(name: str) -> bool:
    """Whether a file of that name holds a spec: claims.yaml, or guide.claims.yaml beside guide.md."""
    return name in SPEC_NAMES or name.endswith(tuple(f".{spec}" for spec in SPEC_NAMES))


def slug_of(path: Path) -> str:
    """The first part of claim ids: the folder of claims.yaml, or what stands before .claims.yaml."""
    name = path.parent.name if path.name in SPEC_NAMES else path.name.split(".", 1)[0]
    return "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in name) or "spec"


def spec_paths(paths: Iterable[Path], root: Path) -> tuple[list[Path], list[Finding]]:
    """The spec files among paths and in folders, each once, in order; a missing path is a finding."""
    found: dict[Path, Path] = {}
    findings: list[Finding] = []
    for path in paths:
        place = Place(shown_path(path, root))
        if path.is_dir():
            inside = list(_walk(path))
            if not inside and next(reading_folders([path]), None) is None:
                names = f"{SPEC_NAMES[0]} or *.{SPEC_NAMES[0]}"
                findings.append(Finding(place, "S114", f"no spec here: no file is called {names}", "write a spec"))
        elif path.is_file():
            inside = [path]
        else:
            inside = []
            findings.append(Finding(place, "S111", "no such file or folder"))
        for one in inside:
            found.setdefault(real_path(one), one)
    return list(found.values()), findings


def reading_folders(paths: Iterable[Path]) -> Iterator[Path]:
    """The folders of published readings among paths and below them, each once, in order."""
    seen: set[Path] = set()
    for path in paths:
        for current, folders, files in os.walk(path, followlinks=False):
            folders[:] = sorted(name for name in folders if not is_passed_over(name))
            if READINGS in files and (real := real_path(Path(current))) not in seen:
                seen.add(real)
                yield Path(current)


def _walk(folder: Path) -> Iterator[Path]:
    """Spec files below a folder; links to folders, hidden folders and evidence are skipped."""
    count = 0
    for current, folders, files in os.walk(folder, followlinks=False):
        folders[:] = sorted(name for name in folders if not is_passed_over(name))
        count += len(files)
        if count > MAX_FILES:
            return
        for name in sorted(files):
            if is_spec(name):
                yield Path(current) / name
