"""Where a problem is, and what it is. Findings are values: nothing here prints or exits."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

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


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """A problem of the user's input: its place, a code that `toolkit explain` knows, a message, a repair."""

    place: Place
    code: str
    message: str
    repair: str | None = None
    severity: Severity = Severity.ERROR

    def __str__(self) -> str:
        return f"{self.place}: {self.code} {self.message}"
