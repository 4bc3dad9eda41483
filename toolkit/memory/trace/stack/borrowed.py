"""The torch of this environment, lent to another one, so that it is neither fetched nor stored again."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

LENT = "torch"


def lend(folder: Path) -> str:
    """Fills a folder with links to torch and all that it requires here; what stands in the way, or nothing.

    The folder lies outside of the environment that reads it, so that pip takes what is there as installed, and never
    removes it: what has to be of another release is installed in front of it.
    """
    folder.mkdir(parents=True)
    try:
        for each in _required(LENT, {}).values():
            for entry in _entries(each):
                link = folder / entry.name
                if not link.exists():
                    link.symlink_to(entry, target_is_directory=entry.is_dir())
    except PackageNotFoundError:
        return "torch is not installed here: name torch==VERSION in the stack"
    except OSError as error:
        return f"torch could not be linked ({error.strerror or error}): name torch==VERSION in the stack"
    if not (folder / LENT).is_dir():
        return "torch is not installed here in the usual way: name torch==VERSION in the stack"
    return ""


def whole(folder: Path) -> bool:
    """Whether everything lent is still where it was."""
    return (folder / LENT).is_dir() and all(link.exists() for link in folder.iterdir())


def _required(name: str, known: dict[str, Distribution]) -> dict[str, Distribution]:
    """A distribution with all that it requires on this machine; what is required and absent is left out."""
    if name in known:
        return known
    found = distribution(name)
    known[name] = found
    for text in found.requires or ():
        requirement = Requirement(text)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            _required(requirement.name.lower(), known)
        except PackageNotFoundError:
            continue
    return known


def _entries(found: Distribution) -> Iterator[Path]:
    """What lies side by side of a distribution: its packages, modules and what describes it."""
    tops = {Path(str(file)).parts[0] for file in found.files or ()}
    for top in sorted(tops - {"..", "__pycache__", "bin"}):
        entry = Path(str(found.locate_file(top)))
        if entry.exists() and entry.suffix != ".pth":
            yield entry
