"""Where a problem is, and what it is. Findings are values: nothing here prints or exits."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum

from toolkit.frozen import frozen

# Control characters, line separators, and characters that reorder or hide their neighbours on a screen.
_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\ud800-\udfff\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)


def printable(text: str) -> str:
    """The text of a stranger, safe to stand in a message: characters that steer a terminal become escapes."""
    return _UNPRINTABLE.sub(lambda found: found.group().encode("unicode_escape").decode("ascii"), text)


class Severity(StrEnum):
    """How much a finding weighs: only an error turns the gate red."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A place in a text file. Lines and columns count from 1, columns in characters; the end is exclusive."""

    path: str
    line: int = 1
    column: int = 1
    end_line: int | None = None
    end_column: int | None = None

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}"


@frozen
class Related:
    """Another place that a finding speaks of, and the text that stands there."""

    place: Place
    text: str


@frozen
class Suggestion:
    """A text that would stand better at a finding's place, and how it differs from the one that does.

    `diff` holds pieces with "=", "-" or "+". With `safe`, the two say the same to a reader.
    """

    text: str
    diff: tuple[tuple[str, str], ...]
    safe: bool = False


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """A problem of the user's input: its place, a code that `toolkit explain` knows, a message, a repair.

    `related` are other places that it is about; a `suggestion` replaces what stands at the place.
    """

    place: Place
    code: str
    message: str
    repair: str | None = None
    severity: Severity = Severity.ERROR
    related: tuple[Related, ...] = field(default=(), compare=False)
    suggestion: Suggestion | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return f"{self.place}: {self.code} {self.message}"
