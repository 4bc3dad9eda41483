"""Messages about unknown names, with the known one that was most likely meant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from toolkit.facts.names import nearest
from toolkit.finding import printable
from toolkit.spec.fields.names import OTHER_SPELLINGS

MAX_SHOWN = 80
"""The most characters of input that a message repeats."""

MAX_GUESSES = 100
"""The most unknown names of a file that get a suggestion: each costs up to some milliseconds."""

MAX_COMPARED = 1_000
"""The most known names that an unknown one is compared with."""

_guesses_left: ContextVar[int | None] = ContextVar("guesses_left", default=None)


@contextmanager
def limited_guesses(count: int = MAX_GUESSES) -> Iterator[None]:
    """A context in which only so many unknown names get a suggestion, so that a file full of mistakes stays fast."""
    token = _guesses_left.set(count)
    try:
        yield
    finally:
        _guesses_left.reset(token)


def may_guess() -> bool:
    """Whether one more suggestion is allowed; counts it."""
    left = _guesses_left.get()
    if left is None:
        return True
    _guesses_left.set(max(0, left - 1))
    return left > 0


def shown(text: str) -> str:
    """Text for a message: on one line, cut where it is long, and with nothing that would move a cursor."""
    line = printable(" ".join(text[: 4 * MAX_SHOWN].split()))
    return line if len(line) <= MAX_SHOWN else f"{line[: MAX_SHOWN - 3]}..."


def meant(name: str, known: Iterable[str]) -> str | None:
    """The known name that was most likely meant; None where none is similar, or after too many suggestions."""
    names = list(known)
    other = OTHER_SPELLINGS.get(name.casefold())
    if other in names:
        return other
    best = nearest(name, names[:MAX_COMPARED], 1) if may_guess() else ()
    return best[0] if best else None


def unknown(noun: str, name: str, known: Iterable[str]) -> tuple[str, str | None]:
    """The message and the repair for a name that is not in a list."""
    names = list(known)
    guess = meant(name, names)
    message = f"{shown(name)} is not {noun}; known: {', '.join(names)}"
    return message, f"write {guess}" if guess else None
