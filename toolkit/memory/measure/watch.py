"""Peaks phase by phase: reset at the start of each, read at its end, the largest kept where a phase comes again."""

from __future__ import annotations

import sys
from dataclasses import asdict

from toolkit.memory.measure.device import Counters, Device

PEAKS = ("allocated", "requested", "active", "reserved")


class Watch:
    """Follows a run on a device. `phases` maps names to peaks in bytes."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._phase = ""
        self.phases: dict[str, dict[str, int]] = {}
        self.retries = 0

    def mark(self, phase: str) -> None:
        """Ends the phase that runs and starts another; whoever waits is told on stderr."""
        self.close()
        if phase not in self.phases:
            sys.stderr.write(f"phase {phase}\n")
            sys.stderr.flush()
        self._device.reset_peaks()
        self._phase = phase

    def close(self) -> Counters:
        """Ends the phase that runs."""
        self._device.settle()
        counters = self._device.counters()
        self.retries = counters.retries
        if self._phase:
            seen = asdict(counters)
            kept = self.phases.setdefault(self._phase, dict.fromkeys(PEAKS, 0))
            for name in PEAKS:
                kept[name] = max(kept[name], seen[name])
        self._phase = ""
        return counters

    @property
    def phase(self) -> str:
        """The phase that runs, or the last that did."""
        return self._phase or next(reversed(self.phases), "")
