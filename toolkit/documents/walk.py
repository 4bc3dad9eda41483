"""Finds the Markdown files in folders."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

from toolkit.documents.document import Document, read_document
from toolkit.finding import Finding, Place

SUFFIXES = (".md", ".markdown", ".mdx")
MAX_FILES = 200_000
_PASSED_OVER = frozenset({"node_modules", "__pycache__", "venv", "site-packages"})


def is_markdown(path: Path) -> bool:
    """Whether a path has the name of a Markdown file."""
    return path.suffix.lower() in SUFFIXES


def markdown_paths(paths: Iterable[Path]) -> tuple[list[Path], list[Finding]]:
    """Files as they are named and the Markdown files of folders, each once, in order; what is missing is a finding."""
    found: dict[str, Path] = {}
    findings: list[Finding] = []
    for path in paths:
        inside = list(islice(_walk(path), MAX_FILES + 1)) if path.is_dir() else [path] if path.exists() else []
        if len(inside) > MAX_FILES:
            findings.append(Finding(Place(path.as_posix()), "D205", f"only its first {MAX_FILES:,} documents are read"))
            del inside[MAX_FILES:]
        if not inside:
            said = "no Markdown file here" if path.is_dir() else "no such file or folder"
            findings.append(Finding(Place(path.as_posix()), "D205", said))
        for one in inside:
            found.setdefault(os.path.realpath(one), one)
    return list(found.values()), findings


def read_any(path: Path, root: Path) -> Document | Finding:
    """A document that a person named: inside a folder by its path from there, elsewhere by its path as given."""
    if path.resolve().is_relative_to(root.resolve()):
        return read_document(path, root, scanned=True)
    read = read_document(path, path.resolve().parent, scanned=True)
    if isinstance(read, Finding):
        return replace(read, place=replace(read.place, path=path.as_posix()))
    return replace(read, path=path.as_posix())


def _walk(folder: Path) -> Iterator[Path]:
    """Markdown files below a folder; links to folders and hidden folders are passed over."""
    for current, folders, files in os.walk(folder, followlinks=False):
        folders[:] = sorted(name for name in folders if name not in _PASSED_OVER and not name.startswith("."))
        yield from (Path(current) / name for name in sorted(files) if is_markdown(Path(name)))
