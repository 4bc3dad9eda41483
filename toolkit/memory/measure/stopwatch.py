"""Seconds of warm runs: taken apart from peaks, for what reads those takes time itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from toolkit.memory.ledger import PhaseName

PASS, STEP = "pass", "step"
"""A forward and a backward pass of one batch, and the optimizer's step."""

PREFILL, DECODE = PhaseName.PREFILL.value, PhaseName.DECODE.value

ROUNDS = 7
"""So many rounds are timed, for a median and its spread."""

PATIENCE_S = 15.0
"""No further round is begun after so long."""

TIMED_TOKENS = 8
"""Tokens, with the one that the prompt gives, when a warm run is timed."""

Warm = Callable[[Callable[[str], None]], None]
"""One round of warm steps; calls back with a name as it starts each part of itself."""


class Stopwatch:
    """Laps of the parts of a run, in seconds. `settle` waits until a device has done all that it was asked for."""

    def __init__(self, settle: Callable[[], None]) -> None:
        self._settle = settle
        self._name = ""
        self._started = 0.0
        self._laps: dict[str, list[float]] = {}

    @property
    def laps(self) -> Mapping[str, list[float]]:
        """What was timed, to the microsecond."""
        return {name: [round(lap, 6) for lap in laps] for name, laps in self._laps.items()}

    def start(self, name: str) -> None:
        """Ends the part that runs, and starts another."""
        self.stop()
        self._name, self._started = str(name), time.perf_counter()

    def stop(self) -> None:
        """Ends the part that runs."""
        self._settle()
        if self._name:
            self._laps.setdefault(self._name, []).append(time.perf_counter() - self._started)
        self._name = ""

    def abandon(self) -> None:
        """Forgets the part that runs: it came to no end."""
        self._name = ""

    def time(self, again: Warm) -> None:
        """Times rounds of warm steps: at least one, and no further ones after PATIENCE_S."""
        begun = time.perf_counter()
        for _ in range(ROUNDS):
            again(self.start)
            self.stop()
            if time.perf_counter() - begun > PATIENCE_S:
                break
