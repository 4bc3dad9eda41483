"""The errors that are committed beside readings: compared with today's, and replaced by them."""

from __future__ import annotations

from pathlib import Path

from toolkit.accuracy.budget import Entry, grown, read_budget
from toolkit.cli.main import CouldNotError
from toolkit.cli.output import emit, hint, reason_of
from toolkit.finding import printable


def against_committed(now: list[Entry], path: Path, text: str, *, refresh: bool, anyway: bool) -> int:
    """Prints which errors grew over the committed ones, and returns the exit code.

    With `refresh` the file at `path` gets `text`, unless an error grew; with `anyway` even then. Raises CouldNotError.
    """
    worse = list(grown(_committed(path), now)) if path.exists() or not refresh else []
    for growth in worse:
        hint(growth)
    if refresh and (anyway or not worse):
        emit(text, path)
        hint(f"{printable(str(path))}: {len(now)} groups")
        return 0
    return 1 if worse else 0


def _committed(path: Path) -> list[Entry]:
    try:
        return read_budget(path)
    except FileNotFoundError as error:
        raise CouldNotError(f"no errors are committed in {path} yet: --refresh writes them") from error
    except (OSError, ValueError) as error:
        raise CouldNotError(f"cannot read the committed errors in {path}: {reason_of(error)}") from error
