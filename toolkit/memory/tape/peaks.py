"""The moments of a recorded stretch at which the most may be alive, whatever the batch, the sequence and the rank."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import zip_longest
from operator import ge
from typing import TypeVar

from toolkit.frozen import frozen
from toolkit.memory.size import Alive, Amounts, Parts

Sized = TypeVar("Sized")
Amount = TypeVar("Amount")


@frozen
class Peak:
    """A moment: what is alive, by row, and its total."""

    alive: Amounts
    total: Parts


@frozen
class Peaks:
    """The moments that may have the largest total, and for each row the sizes that may be its largest."""

    moments: tuple[Peak, ...]
    widest: Mapping[str, tuple[Parts, ...]]

    @classmethod
    def of(cls, moments: Iterable[Amounts]) -> Peaks:
        """From moments none of which is below another in every part."""
        peaks = tuple(Peak(alive, _total(alive)) for alive in moments)
        sizes: dict[str, set[Parts]] = {}
        for peak in peaks:
            for row, parts in peak.alive.items():
                sizes.setdefault(row, set()).add(parts)
        return cls(peaks, {row: _largest(found) for row, found in sizes.items()})

    def without(self, row: str) -> Peaks:
        """The same moments without a row."""
        return Peaks.of({name: parts for name, parts in peak.alive.items() if name != row} for peak in self.moments)

    def renamed(self, row: str, name: str) -> Peaks:
        """The same moments with a row renamed; none of them may have the new name already."""
        return Peaks.of(
            {name if one == row else one: parts for one, parts in peak.alive.items()} for peak in self.moments
        )


def amounts(alive: Alive) -> Amounts:
    """What is alive, by row, with each size split into its parts."""
    return {row: size.parts() for row, size in alive.items()}


def _total(alive: Amounts) -> Parts:
    return tuple(map(sum, zip_longest(*alive.values(), fillvalue=0)))


def _largest(sizes: set[Parts]) -> tuple[Parts, ...]:
    """The sizes that may be the largest: usually a single one, which has the most of every part."""
    most = tuple(map(max, zip_longest(*sizes, fillvalue=0)))
    return (most,) if most in sizes else tuple(highest((size, size) for size in sizes))


def _reaches(one: Parts, other: Parts) -> bool:
    return len(one) >= len(other) and all(map(ge, one, other))


def highest(things: Iterable[tuple[Parts, Sized]]) -> list[Sized]:
    """The things whose size no other size reaches in every part; the first of equal ones."""
    return unreached(things, _reaches, sum)


def unreached(
    things: Iterable[tuple[Amount, Sized]], reaches: Callable[[Amount, Amount], bool], weight: Callable[[Amount], int]
) -> list[Sized]:
    """The things whose size no other size reaches; the first of equal ones.

    A size that reaches another must not have a smaller weight.
    """
    kept: list[tuple[int, Amount, Sized]] = []
    in_order = [(place, size, thing) for place, (size, thing) in enumerate(things)]
    for place, size, thing in sorted(in_order, key=lambda one: -weight(one[1])):
        if not any(reaches(other, size) for _, other, _ in kept):
            kept.append((place, size, thing))
    return [thing for _, _, thing in sorted(kept, key=lambda one: one[0])]


ALONE = Peaks.of([{}])
"""One moment at which nothing is alive except what is there throughout."""
