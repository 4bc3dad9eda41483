"""Paths for messages, and real paths behind links."""

from __future__ import annotations

import os
from pathlib import Path


def shown_path(path: Path, root: Path) -> str:
    """The path for messages: relative to the root, with /."""
    for one, other in ((path.absolute(), root.absolute()), (real_path(path), real_path(root))):
        if one.is_relative_to(other):
            return one.relative_to(other).as_posix()
    return path.as_posix()


def real_path(path: Path) -> Path:
    """The path with symbolic links resolved, as far as they exist."""
    return Path(os.path.realpath(path))
