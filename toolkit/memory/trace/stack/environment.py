"""The virtual environment of a stack: made by venv and pip when it is first asked for, and kept."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from toolkit.frozen import frozen
from toolkit.memory.trace.stack.borrowed import LENT, lend, whole
from toolkit.memory.trace.stack.named import NamedStack

MADE = "made.json"
LIMIT_S = 3600
DIGITS = 16
SAID = 400
PIP = ("-m", "pip", "install", "--no-input", "--disable-pip-version-check", "--only-binary", ":all:", "--quiet")
"""Wheels alone: to build a source distribution would run code of any package that is required."""

Say = Callable[[str], None]


@frozen
class Environment:
    """A stack that is installed, and the Python that runs it."""

    stack: NamedStack
    python: Path


def cache_folder() -> Path:
    """Where environments are kept: $XDG_CACHE_HOME/vram-toolkit/stacks."""
    said = os.environ.get("XDG_CACHE_HOME", "")
    home = Path(said) if Path(said).is_absolute() else Path.home() / ".cache"
    return home / "vram-toolkit" / "stacks"


def environment(stack: NamedStack, say: Say, folder: Path | None = None) -> Environment | str:
    """The environment of a stack, made where there is none yet; or why it could not be made."""
    kept = folder or cache_folder()
    place = kept / _key(stack)
    try:
        kept.mkdir(parents=True, exist_ok=True)
        with _alone(place.with_suffix(".lock")):
            if not _is_whole(stack, place):
                shutil.rmtree(place, ignore_errors=True)
                say(f"making an environment with {stack}")
                if reason := _make(stack, place):
                    shutil.rmtree(place, ignore_errors=True)
                    return reason
    except OSError as error:
        return f"{place} could not be made: {error.strerror or error}"
    return Environment(stack, _python(place))


def _make(stack: NamedStack, place: Path) -> str:
    """Makes an environment; returns what went wrong."""
    if reason := _run([sys.executable, "-I", "-m", "venv", str(place / "venv")], "venv"):
        return reason
    required = list(stack.requirements)
    if not stack.names_torch:
        if reason := lend(place / LENT):
            return reason
        site = next((place / "venv").glob("[Ll]ib/**/site-packages"))
        (site / "lent.pth").write_text(f"{place / LENT}\n", "utf-8")
        required.append(f"{LENT}=={_lent_version()}")
    if reason := _run([str(_python(place)), "-I", *PIP, *required], "pip"):
        return reason
    (place / MADE).write_text(json.dumps({"stack": list(stack.requirements)}) + "\n", "utf-8")
    return ""


def _run(command: Sequence[str], name: str) -> str:
    """Runs a step; returns its last words of error, or nothing where it did what it should."""
    try:
        done = subprocess.run(  # noqa: S603 - this Python, or that of the environment, with checked names; no shell
            command, capture_output=True, timeout=LIMIT_S, check=False, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        return f"{name} had not ended after {LIMIT_S} s"
    if done.returncode == 0:
        return ""
    lines = [line.strip() for line in done.stderr.decode("utf-8", "replace").splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")] or lines[-1:]
    return f"{name} failed: {'; '.join(errors)[:SAID] or f'exit code {done.returncode}'}"


def _is_whole(stack: NamedStack, place: Path) -> bool:
    if not (place / MADE).is_file() or not _python(place).exists():
        return False
    return stack.names_torch or whole(place / LENT)


def _python(place: Path) -> Path:
    windows = sys.platform == "win32"
    return place / "venv" / ("Scripts" if windows else "bin") / ("python.exe" if windows else "python")


def _key(stack: NamedStack) -> str:
    """What an environment hangs on: the stack, this Python, and the torch that is lent."""
    lent = None if stack.names_torch else [_lent_version(), str(_lent_place())]
    what = [list(stack.requirements), sys.version, sys.base_prefix, lent]
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:DIGITS]


def _lent_version() -> str:
    """The release of this environment's torch, without a build tag such as +cpu."""
    try:
        return distribution(LENT).version.partition("+")[0]
    except PackageNotFoundError:
        return ""


def _lent_place() -> Path | None:
    try:
        return Path(str(distribution(LENT).locate_file(LENT)))
    except PackageNotFoundError:
        return None


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Holds a lock while an environment is made, so that another process waits for it."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    with path.open("a") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
