"""The reserved memory of a training run, computed once for all runs with the same description.

Releases of libraries, like many fields of a setting, move reserved memory only by what they change in a run.
"""

from __future__ import annotations

from collections.abc import Hashable

from toolkit.memory.replay.orders import Followed, follow
from toolkit.memory.replay.training import Run

REMEMBERED = 4096

_KNOWN: dict[tuple[Hashable, bool, bool, int | None], Followed] = {}
"""Results by a run's description and by how it is replayed."""


def follow_run(run: Run, *, warms: bool = False, swaps: bool = True, limit: int | None = None) -> Followed:
    """Replays a run that is not written yet as its events would be (toolkit.memory.replay.orders)."""
    key = run.said(), warms, swaps, limit
    found = _KNOWN.get(key)
    if found is None:
        if len(_KNOWN) >= REMEMBERED:
            _KNOWN.clear()
        found = _KNOWN[key] = follow(run.events(), warms=warms, swaps=swaps, limit=limit)
    return found
