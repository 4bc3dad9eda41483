"""What came of running one scenario in a process of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum
from typing import Any

from toolkit.frozen import frozen


class OutcomeKind(StrEnum):
    """How a run ended, best first."""

    MEASURED = "measured"
    FULL = "does not fit"
    REFUSED = "refused"
    CRASHED = "crashed"
    TIMED_OUT = "timed out"


@frozen
class Outcome:
    """One run. `reading` is what the process wrote; `reason` says why there is no measurement."""

    kind: OutcomeKind
    reason: str = ""
    reading: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    def text(self, where: str = "") -> str:
        """The outcome in a sentence, without its numbers."""
        if self.kind is OutcomeKind.MEASURED:
            return f"measured in {self.seconds:.0f} s"
        place = f" on {where}" if where and self.kind is OutcomeKind.FULL else ""
        return f"{self.kind}{place}: {self.reason}" if self.reason else f"{self.kind}{place}"
