"""In which order a short lease of a GPU is used: what settles most claims in a second comes first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from toolkit.memory.estimate import Estimate
from toolkit.memory.measure.job import Measurable
from toolkit.spec.setting import Setting

START_S = 15.0
"""Starting Python, importing torch and transformers, making a context on the card, and ending all of it."""

FILLED_BYTES_S = 50e9
"""Random weights made on the card in a second."""

OPERATIONS_S = 1e14
"""Arithmetic operations in a second: a tenth of what a data-centre card has on paper, as short steps reach little."""

TOKEN_S = 0.05
"""One token after the prompt: hundreds of small kernels, whose launches take longer than they do."""

PASSES = {"train": 2 * 2, "infer": 2}
"""Runs of the whole: two steps with up to two parts each, or a prompt twice."""

RECORDED = 0.25
"""What a measurement is worth beside the claims that wait for it, in claims: it goes to the table of errors."""


@dataclass(frozen=True, slots=True)
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
    """What a run is expected to take: start, weights, and 2 operations a parameter and token forward, 4 backward."""
    tokens = setting.batch_size * setting.sequence_length
    if setting.trains:
        again = 2 if setting.gradient_checkpointing != "false" else 0
        operations = (2 + 4 + again) * parameters * tokens * PASSES["train"]
        generated = 0
    else:
        operations = 2 * parameters * tokens * PASSES["infer"]
        generated = max(0, setting.generated_length - 1)
    return START_S + 2 * parameters / FILLED_BYTES_S + operations / OPERATIONS_S + generated * TOKEN_S


def expected_bytes(estimate: Estimate | None) -> tuple[int, int] | None:
    """What the card is expected to show."""
    return None if estimate is None else estimate.device


def planned(jobs: Iterable[Measurable], usable: int | None) -> list[Planned]:
    """The jobs by claims settled in a second; those that the card is computed not to hold come last.

    `usable` is the memory of the card in bytes; None where there is none yet.
    """
    known = [Planned(job, _fits(job, usable), (job.claims + RECORDED) / max(job.seconds, 1.0)) for job in jobs]
    return sorted(known, key=lambda one: (one.fits is False, -one.rate, one.job.scenario))


def _fits(job: Measurable, usable: int | None) -> bool | None:
    if job.bytes is None or usable is None:
        return None
    return job.bytes[0] <= usable
