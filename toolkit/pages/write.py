"""Writes a tree of pages into a folder of its own, file by file, and touches no file that is not its own."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from toolkit.frozen import frozen

MANIFEST = ".toolkit-pages.json"
"""The file that lists what an earlier run wrote; a folder with other content and without it is not ours."""


class ForeignFolderError(Exception):
    """The output folder is not ours to write into; the message says why."""


@frozen
class Written:
    """The result of a run; paths are inside the output folder."""

    written: tuple[str, ...]
    unchanged: int
    removed: tuple[str, ...]


def write_tree(files: Mapping[str, bytes], out: Path, keep: Iterable[Path]) -> Written:
    """Brings a folder to these files: the changed ones are written, those of an earlier run that are gone removed.

    Raises ForeignFolderError where the folder holds files of others, or overlaps one of the folders to keep.
    """
    earlier = _earlier(out, keep)
    out.mkdir(parents=True, exist_ok=True)
    _write(out / MANIFEST, _manifest({*earlier, *files}))  # first, so that a run cut short leaves nothing unnamed
    written = tuple(path for path, content in files.items() if _changed(_inside(out, path), content))
    for path in written:
        _write(_inside(out, path), files[path])
    removed = tuple(sorted(path for path in earlier if path not in files and _removed(_inside(out, path), out)))
    _write(out / MANIFEST, _manifest(files))
    return Written(written, len(files) - len(written), removed)


def _earlier(out: Path, keep: Iterable[Path]) -> set[str]:
    """The files that an earlier run wrote."""
    home = out.resolve()
    for folder in keep:
        kept = folder.resolve()
        if home.is_relative_to(kept) or kept.is_relative_to(home):
            raise ForeignFolderError(f"{out} overlaps {folder}, whose files are written by hand")
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return set()
    if not out.is_dir() or out.is_symlink():
        raise ForeignFolderError(f"{out} is not a folder")
    try:
        listed = json.loads((out / MANIFEST).read_text("utf-8"))["files"]
        return {path for path in listed if isinstance(path, str)}
    except (OSError, ValueError, KeyError, TypeError):
        raise ForeignFolderError(f"{out} holds files that `toolkit pages` did not write; name another folder") from None


def _inside(out: Path, path: str) -> Path:
    """A file of the tree. Raises ForeignFolderError where a path or a link leads out of it."""
    parts = PurePosixPath(path)
    target = out / parts
    leads_out = parts.is_absolute() or ".." in parts.parts
    if leads_out or not target.parent.resolve().is_relative_to(out.resolve()):
        raise ForeignFolderError(f"{path} lies outside {out}")
    return target


def _changed(target: Path, content: bytes) -> bool:
    return target.is_symlink() or not target.is_file() or target.read_bytes() != content


def _write(target: Path, content: bytes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.new")
    beside.unlink(missing_ok=True)
    beside.write_bytes(content)
    beside.replace(target)


def _removed(target: Path, out: Path) -> bool:
    """Whether a file was there to be removed; folders that it leaves empty go with it."""
    if not target.is_file():
        return False
    target.unlink()
    for folder in target.parents:
        if folder == out or any(folder.iterdir()):
            break
        os.rmdir(folder)  # noqa: PTH106 - removes nothing but an empty folder, as its name says
    return True


def _manifest(files: Iterable[str]) -> bytes:
    return (json.dumps({"files": sorted(files)}, indent=1) + "\n").encode("ascii")
