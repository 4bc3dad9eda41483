"""How pieces of documents and specs are shown in messages."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterable
from itertools import islice
from typing import TypeVar

from toolkit.finding import printable

T = TypeVar("T")

_LONGEST = 100
_MANY = 5
_COMPARED = 500


def shown(text: str, longest: int = _LONGEST) -> str:
    """A stranger's text in quotation marks: on one line, cut, without control characters."""
    line = " ".join(text[: 2 * longest].split())
    cut = line if len(line) <= longest else f"{line[: longest - 1]}…"
    return f'"{printable(cut)}"'


def listed(things: Collection[T], show: Callable[[T], str]) -> str:
    """The first few of many, and how many more there are; the cost does not grow with how many."""
    more = f" and {len(things) - _MANY} more" if len(things) > _MANY else ""
    return ", ".join(show(thing) for thing in islice(things, _MANY)) + more


def nearest(text: str, known: Iterable[str]) -> str | None:
    """The known text most like another, of the first 500; None when none is like it."""
    candidates = [candidate[:_LONGEST] for candidate in islice(known, _COMPARED)]
    close = difflib.get_close_matches(text[:_LONGEST], candidates, n=1, cutoff=0.5)
    return close[0] if close else None


def likeness(one: str, other: str) -> float:
    """How alike two lines are, from 0 to 1; only their first 300 characters count."""
    return difflib.SequenceMatcher(None, one[:300], other[:300], autojunk=False).ratio()
