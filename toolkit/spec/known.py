"""Names that are not known: what to say of them, and which known one was most likely meant."""

from __future__ import annotations

from collections.abc import Iterable

from toolkit.facts.names import nearest
from toolkit.spec.names import OTHER_SPELLINGS

MAX_SHOWN = 80
"""Characters of a stranger's text that a message repeats."""


def shown(text: str) -> str:
    """Text for a message: on one line, cut where it is long, and with nothing that would move a cursor."""
    line = " ".join(text[: 4 * MAX_SHOWN].split())
    if not line.isprintable():
        line = "".join(letter if letter.isprintable() else f"\\u{ord(letter):04x}" for letter in line)
    return line if len(line) <= MAX_SHOWN else f"{line[: MAX_SHOWN - 3]}..."


def meant(name: str, known: Iterable[str]) -> str | None:
    """The known name that was most likely meant; None where none is alike."""
    names = list(known)
    other = OTHER_SPELLINGS.get(name.casefold())
    if other in names:
        return other
    best = nearest(name, names, 1)
    return best[0] if best else None


def unknown(noun: str, name: str, known: Iterable[str]) -> tuple[str, str | None]:
    """Message and repair for a name that a known list does not have."""
    names = list(known)
    guess = meant(name, names)
    message = f"{shown(name)} is not {noun}; known: {', '.join(names)}"
    return message, f"write {guess}" if guess else None
