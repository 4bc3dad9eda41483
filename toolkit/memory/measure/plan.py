"""In which order a short lease of a GPU is used: what settles most claims in a second comes first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from toolkit.frozen import frozen
from toolkit.memory.estimate import Estimate
from toolkit.memory.measure.job import Measurable
from toolkit.memory.measure.stopwatch import PATIENCE_S, ROUNDS, TIMED_TOKENS
from toolkit.spec.settings.setting import Setting

START_S = 15.0
"""Starting Python, importing torch and transformers, making a context on the card, and ending all of it."""

FILLED_BYTES_S = 50e9
"""Random weights made on the card in a second."""

OPERATIONS_S = 1e14
"""Arithmetic operations in a second: a tenth of what a data-centre card has on paper, as short steps reach little."""

TOKEN_S = 0.05
"""One token after the prompt: hundreds of small kernels, whose launches take longer than they do."""

PASSES = {"train": 2 * 2, "infer": 1}
"""Runs of the whole for the peaks: two steps with up to two parts each, or a prompt."""

RECORDED = 0.25
"""What a measurement is worth beside the claims that wait for it, in claims: it goes to the table of errors."""


@frozen
class Planned:
    """A job with why it stands where it does. `fits` is None where the formulas say nothing."""

    job: Measurable
    fits: bool | None
    rate: float

    @property
    def expected(self) -> str:
        """The expected time, for people."""
        return f"{self.job.seconds:.0f} s"


def expected_seconds(setting: Setting, parameters: int) -> float:
    """What a run is expected to take: start, weights, and 2 operations a parameter and token forward, 4 backward.

    Then it is timed, for at most PATIENCE_S and the round that has begun by then.
    """
    tokens = setting.batch_size * setting.sequence_length
    parts, generated = 1, 0
    if setting.trains:
        again = 2 if setting.gradient_checkpointing != "false" else 0
        one = (2 + 4 + again) * parameters * tokens / OPERATIONS_S
        parts = min(2, setting.gradient_accumulation)
    else:
        one = 2 * parameters * tokens / OPERATIONS_S
        generated = max(0, setting.generated_length - 1)
    peaks = one * PASSES["train" if setting.trains else "infer"] + generated * TOKEN_S
    warm = one * parts + min(generated, TIMED_TOKENS) * TOKEN_S
    timed = min(warm * ROUNDS, PATIENCE_S + warm)
    return START_S + 2 * parameters / FILLED_BYTES_S + peaks + timed


def expected_bytes(estimate: Estimate | None) -> tuple[int, int] | None:
    """What the card is expected to show."""
    return None if estimate is None else estimate.device


def planned(jobs: Iterable[Measurable], usable: int | None) -> list[Planned]:
    """The jobs by claims settled in a second; those that the card is computed not to hold come last.

    `usable` is the memory of the card in bytes; None where there is none yet. The second setting of a scenario adds
    half of what the first does, the third a third.
    """
    known = []
    before: Counter[tuple[str, str]] = Counter()
    for job in jobs:
        before[job.folder, job.scenario] += 1
        worth = job.claims / before[job.folder, job.scenario] + RECORDED
        known.append(Planned(job, _fits(job, usable), worth / max(job.seconds, 1.0)))
    return sorted(known, key=lambda one: (one.fits is False, -one.rate, one.job.scenario))


def _fits(job: Measurable, usable: int | None) -> bool | None:
    if job.bytes is None or usable is None:
        return None
    return job.bytes[0] <= usable
