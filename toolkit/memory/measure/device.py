"""What a measurement asks of a device: the counters of its allocator and what the whole card shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from toolkit.frozen import frozen


@frozen
class Counters:
    """The allocator's counters in bytes: what is alive now, and the most since the peaks were reset.

    `allocated` counts whole blocks, `requested` what was asked for, `active` blocks that are in use or await a stream.
    """

    now: int
    allocated: int
    requested: int
    active: int
    reserved: int
    reserved_now: int
    retries: int


class Device(Protocol):
    """A device that a setting is run on. `kind` is its name for torch, `before` what the whole card showed at first."""

    kind: str
    before: int | None

    def start(self) -> None:
        """Makes whatever the device needs before its counters can be read."""

    def settle(self) -> None:
        """Waits until everything that was asked for is done."""

    def reset_peaks(self) -> None:
        """Makes what is alive now the largest that was seen."""

    def counters(self) -> Counters:
        """The counters now."""

    def used(self) -> int | None:
        """What the whole card shows as taken, in bytes; None where nobody can tell."""

    def description(self) -> Mapping[str, str]:
        """The device, its driver and its runtime, by name."""

    def is_full(self, error: BaseException) -> bool:
        """Whether an error says that the device had no memory left."""
