"""Atomic writing of files."""

from __future__ import annotations

import os
from pathlib import Path


def write_whole(file: Path, text: str) -> None:
    """Writes a file atomically: readers see the old content or the new. Raises OSError where it cannot be written."""
    import tempfile  # noqa: PLC0415 - few runs write a file, and it takes a while to import

    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name[:80]}.")
    beside = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
        beside.chmod(0o666 & ~_umask())
        beside.replace(file)
    finally:
        beside.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
