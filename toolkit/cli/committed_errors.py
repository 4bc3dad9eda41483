"""The errors that are committed beside readings: compared with today's, and written anew."""

from __future__ import annotations

from pathlib import Path

from toolkit.accuracy.budget import Entry, grown, read_budget
from toolkit.cli.output import emit, hint
from toolkit.finding import printable


def against_committed(now: list[Entry], path: Path, text: str, *, refresh: bool, anyway: bool) -> int:
    """Compares errors with the committed ones; `text` is written in their place where that is asked for."""
    worse = list(grown(read_budget(path), now)) if path.exists() or not refresh else []
    for said in worse:
        hint(said)
    if refresh and (anyway or not worse):
        emit(text, path)
        hint(f"{printable(str(path))}: {len(now)} groups")
        return 0
    return 1 if worse else 0
