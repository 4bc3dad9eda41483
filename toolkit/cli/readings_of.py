"""Loads the sources of published readings in folders, and prints what is wrong with them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.cli.output import hint
from toolkit.finding import printable

if TYPE_CHECKING:
    from toolkit.spec.published import PublishedSource


DEFAULT = Path("specs/published")
"""The default folder of readings."""


def sources_in(paths: Sequence[Path]) -> list[tuple[PublishedSource, Path]] | None:
    """Every source with its folder; None where one cannot be read, or there is none."""
    from toolkit.spec.published import load_published
    from toolkit.spec.walk import reading_folders

    sources = []
    broken = False
    for folder in reading_folders(paths):
        root = Path() if folder.resolve().is_relative_to(Path.cwd()) else folder.resolve()
        source, findings = load_published(folder, root)
        for finding in findings:
            hint(str(finding))
        broken = broken or source is None
        if source is not None:
            sources.append((source, folder))
    if not sources and not broken:
        hint(f"no readings in {', '.join(printable(str(path)) for path in paths)}")
    return None if broken or not sources else sources
