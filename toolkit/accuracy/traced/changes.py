"""The difference between the installed releases and those that records state, and its known causes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import median

from toolkit.accuracy.traced.effects import effects
from toolkit.accuracy.traced.lines import TracedLine
from toolkit.frozen import frozen

LARGEST = 3
WORTH_SAYING = 1 << 20

Pair = tuple[TracedLine, TracedLine]
"""Traces of one run: with the releases that its record names, and with those that are installed."""


@frozen
class Change:
    """The difference between installed and stated releases, for one method and stated release of transformers.

    `share` is the median share by which the installed ones take more. `phases` says where the peak moved to another
    phase, `parts` are the parts of the peak that changed most, in bytes, at the median, `known` are known causes.
    """

    method: str
    stated: str
    runs: int
    share: float
    phases: tuple[str, ...]
    parts: tuple[tuple[str, int], ...]
    known: tuple[str, ...]


def changes(pairs: Mapping[tuple[str, str], Sequence[Pair]]) -> Iterator[Change]:
    """The changes, by method and stated release of transformers."""
    for (method, release), both in sorted(pairs.items()):
        yield _change(method, release, both)


def _change(method: str, release: str, both: Sequence[Pair]) -> Change:
    parts = sorted({part for old, new in both for part in (*old.parts, *new.parts)})
    moved = {one: int(median(new.parts.get(one, 0) - old.parts.get(one, 0) for old, new in both)) for one in parts}
    order = sorted(parts, key=lambda one: -abs(moved[one]))
    installed = both[0][1].libraries.get("transformers", release)
    return Change(
        method,
        release,
        len(both),
        median(new.allocated / old.allocated - 1 for old, new in both),
        tuple(sorted({f"{old.phase} to {new.phase}" for old, new in both if old.phase != new.phase})),
        tuple((one, moved[one]) for one in order[:LARGEST] if abs(moved[one]) >= WORTH_SAYING),
        tuple(
            f"{one.since}: {one.text}"
            for part in order
            for one in effects(release, installed, part, method)
            if abs(moved[part]) >= WORTH_SAYING
        ),
    )
