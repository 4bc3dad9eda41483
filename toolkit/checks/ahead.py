"""Loads specs in a second process while this one imports the checks: the two take about as long as each other."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from toolkit.checks.side_by_side import as_bytes, can_fork, from_bytes
from toolkit.spec.gather import spec_files

if TYPE_CHECKING:
    from toolkit.finding import Finding
    from toolkit.spec.document_spec import Spec

    Loaded = tuple[Spec | None, list[Finding]]
    Load = Callable[[Path, Path], Loaded]

MAX_AHEAD = 64
"""The most files that are loaded ahead: each needs a pipe and a file in memory, and open files are limited."""


def load_here(path: Path, root: Path) -> Loaded:
    """The spec in a file, or None, with every mistake in it; loaded in this process."""
    from toolkit.spec.load import load_spec  # noqa: PLC0415 - imports pydantic, which is slow

    return load_spec(path, root)


def largest_first(files: Sequence[Path]) -> list[Path]:
    """Files in the order in which to begin them: large ones first, so that all processes end at about the same time."""
    return sorted(files, key=lambda path: -_size(path))


@contextmanager
def loading_ahead(paths: Sequence[Path], root: Path) -> Iterator[Load]:
    """A function that loads the specs of these paths: from the second process, or here where that fails to deliver."""
    files = largest_first(spec_files(paths, root)[0])
    if not (can_fork() and hasattr(os, "memfd_create") and 0 < len(files) <= MAX_AHEAD):
        yield load_here
        return
    coming = {file: _Coming(*os.pipe(), os.memfd_create("spec")) for file in files}
    child = os.fork()
    if child == 0:
        _load_all(coming, root)
    for one in coming.values():
        os.close(one.end)

    def load(path: Path, root: Path) -> Loaded:
        loaded: Loaded | None = from_bytes(coming[path].written()) if path in coming else None
        return load_here(path, root) if loaded is None else loaded

    try:
        yield load
    finally:
        os.kill(child, signal.SIGKILL)  # it has finished, or its result is no longer needed
        os.waitpid(child, 0)
        for one in coming.values():
            os.close(one.place)
            os.close(one.memory)


class _Coming(NamedTuple):
    """A spec on its way: written to a file in memory, which is complete once the pipe `end` is closed."""

    place: int
    end: int
    memory: int

    def written(self) -> bytes:
        """The content, once it is complete; cut short where the other process died."""
        os.read(self.place, 1)
        return os.pread(self.memory, os.fstat(self.memory).st_size, 0)


def _load_all(coming: Mapping[Path, _Coming], root: Path) -> NoReturn:
    """The body of the second process. It leaves by `_exit`: nothing of the first is flushed or cleaned up twice."""
    try:
        for file, one in coming.items():
            with os.fdopen(one.memory, "wb") as stream:
                stream.write(as_bytes(load_here(file, root)))
            os.close(one.end)
    finally:
        os._exit(0)


def _size(path: Path) -> int:
    """The size of a file in bytes; 0 where it cannot be read."""
    try:
        return path.stat().st_size
    except OSError:
        return 0
