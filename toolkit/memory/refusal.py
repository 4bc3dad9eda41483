"""A row that cannot be worked out is refused by name: a missing number is better than a wrong one."""

from __future__ import annotations


class UnsupportedRow(Exception):
    """A row that no formula covers for this setting. `name` is the row's, `reason` says what is not covered."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name = name
        self.reason = reason
