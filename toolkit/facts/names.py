"""Unknown names, and the known names nearest to them."""

from __future__ import annotations

from collections.abc import Iterable

from toolkit.frozen import frozen

MAX_NAME = 100
"""The most characters of a name that are compared: longer ones are cut, which bounds the cost."""

MAX_KNOWN = 5_000
"""The most known names that one is compared with."""


@frozen
class UnknownName:
    """A name that no table has, the known names nearest to it and, where one helps, a sentence about it."""

    name: str
    nearest: tuple[str, ...] = ()
    note: str | None = None


def nearest(name: str, known: Iterable[str], count: int = 3, alike: float | None = None) -> tuple[str, ...]:
    """List the known names most like `name`, best first; equal ones in the order in which they are known.

    `alike` (0 to 1) is the least similarity; with it, being a part of the other name is not enough.
    """
    from difflib import SequenceMatcher, get_close_matches  # noqa: PLC0415 - imported only for a mistake

    asked = name[:MAX_NAME].casefold()
    written: dict[str, str] = {}
    for candidate in list(known)[:MAX_KNOWN]:
        written.setdefault(candidate[:MAX_NAME].casefold(), candidate)
    inside = {folded for folded in written if alike is None and asked and (asked in folded or folded in asked)}
    likeness = {folded: SequenceMatcher(None, asked, folded).ratio() + INSIDE for folded in inside}
    for folded in get_close_matches(asked, written, n=count, cutoff=ALIKE if alike is None else alike):
        likeness[folded] = max(likeness.get(folded, 0), SequenceMatcher(None, asked, folded).ratio())
    ordered = sorted(likeness, key=lambda folded: -likeness[folded])
    return tuple(written[folded] for folded in ordered[:count])


ALIKE = 0.5
"""The least similarity (0 to 1) of a suggestion, unless the caller asks for another."""

INSIDE = 0.2
"""The bonus in similarity where one name is a part of the other."""
