"""The place of a drafted spec: below `specs/`, in folders like those of the document."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from toolkit.finding import Finding, Place, printable
from toolkit.frozen import frozen
from toolkit.spec.walk import slug_of

FOLDER: Final = "specs"
SUFFIX: Final = ".claims.yaml"
_NAME: Final = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST: Final = 60


@frozen
class DraftPlace:
    """The file of a draft, the path from it to its document, and its slug where the file's name gives another."""

    path: Path
    document: str
    slug: str | None


def place_of_draft(document: Path, root: Path, wanted: Path | None) -> DraftPlace | Finding:
    """Where a draft goes; a finding where that is outside of the folder that is checked, or cannot be named."""
    home, real = root.resolve(), document.resolve()
    inside = real.relative_to(home)
    path = wanted or _usual(root, inside)
    said = printable(str(path))
    if not path.parent.resolve().is_relative_to(home):
        return Finding(Place(said), "S109", f"{said} lies outside {printable(str(home))}, which is checked")
    if wanted is not None and not path.name.endswith((".yaml", ".yml")):
        return Finding(Place(said), "S111", f"{said} is not the name of a spec: call it *{SUFFIX}")
    way = Path(os.path.relpath(real, path.parent.resolve())).as_posix()
    if "\\" in way or way.startswith("~") or way[1:2] == ":" or any(ord(sign) < ord(" ") for sign in way):
        return Finding(Place(said), "S109", f"no spec can name {printable(way)}: rename the document")
    slug = _slug(inside)
    return DraftPlace(path, way, slug if wanted is None and slug != slug_of(path) else None)


def _usual(root: Path, inside: Path) -> Path:
    parents = inside.parent.parts[1:] if inside.parts[0] == FOLDER else inside.parent.parts
    return root.joinpath(FOLDER, *parents, f"{inside.stem}{SUFFIX}")


def _slug(inside: Path) -> str:
    """The document's path as one name, so that two of the same name in two folders are told apart."""
    name = _NAME.sub("-", "-".join((*inside.parent.parts, inside.stem))).strip("-._")[-_LONGEST:].lstrip("-._")
    return name or "document"
