"""Files to be changed: read with everything that a change must keep, and written atomically."""

from __future__ import annotations

import codecs
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from toolkit.finding import Finding, Place, printable
from toolkit.frozen import frozen
from toolkit.spec.paths import real_path, shown_path

CODE = "D209"


@frozen
class Source:
    """A file as it was read: where it really is, its bytes, and its text without a byte order mark."""

    path: Path
    shown: str
    data: bytes

    @property
    def text(self) -> str:
        """The text, with the line ends of the file."""
        return self.data.decode("utf-8-sig")

    def bytes_of(self, text: str) -> bytes:
        """The bytes of another text in the encoding of this file."""
        mark = codecs.BOM_UTF8 if self.data.startswith(codecs.BOM_UTF8) else b""
        return mark + text.encode("utf-8")


@frozen
class Change:
    """A file and its new text."""

    source: Source
    text: str

    @property
    def data(self) -> bytes:
        """The new bytes."""
        return self.source.bytes_of(self.text)


def read_source(path: Path, root: Path) -> Source | Finding:
    """Reads a UTF-8 file inside the folder, links followed; a finding says why it is left alone."""
    shown = shown_path(path, root)
    resolved = real_path(path)
    if not resolved.is_relative_to(real_path(root)):
        return refusal(shown, "lies outside the folder that is checked, and stays as it is")
    try:
        data = resolved.read_bytes()
        data.decode("utf-8-sig")
    except OSError as error:
        return refusal(shown, f"cannot be read: {error.strerror or error}")
    except UnicodeDecodeError:
        return refusal(shown, "is not UTF-8, and stays as it is")
    return Source(resolved, shown_path(resolved, root), data)  # of a spec's "../docs/a.md" no tool applies a diff


def refusal(shown: str, reason: str) -> Finding:
    """The finding for a file that is not written."""
    return Finding(Place(shown), CODE, f"{printable(shown)} {printable(reason)}")


def write_all(changes: Sequence[Change]) -> Finding | None:
    """Writes all files or none: if one fails, or has changed since it was read, those before it are restored."""
    for done, change in enumerate(changes):
        problem = _replaced(change.source.path, change.source.shown, change.source.data, change.data)
        if problem is not None:
            restore(changes[:done])
            return problem
    return None


def restore(changes: Sequence[Change]) -> list[Finding]:
    """Restores files; one that was changed by others meanwhile is left alone and reported."""
    problems = [_replaced(one.source.path, one.source.shown, one.data, one.source.data) for one in changes]
    return [problem for problem in problems if problem is not None]


def _replaced(path: Path, shown: str, expected: bytes, data: bytes) -> Finding | None:
    """Replaces the content of a file atomically, and keeps its permissions."""
    beside: Path | None = None
    try:
        mode = path.stat().st_mode & 0o7777
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:80]}.")
        beside = Path(name)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        beside.chmod(mode)
        if real_path(path) != path or path.read_bytes() != expected:
            return refusal(shown, "has changed since it was read, and is left as it is; run again")
        beside.replace(path)
    except OSError as error:
        return refusal(shown, f"cannot be written: {error.strerror or error}")
    finally:
        if beside is not None:
            beside.unlink(missing_ok=True)
    return None
