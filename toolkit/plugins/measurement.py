"""One measurement as a test: run twice, recorded, and compared with the formulas and a trace."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from toolkit.checks.situations.measurable import computed
from toolkit.evidence.record import Record
from toolkit.frozen import frozen
from toolkit.memory.measure.alone import card_alone
from toolkit.memory.measure.compare import compare
from toolkit.memory.measure.gpu import SeenGpu, seen_gpu
from toolkit.memory.measure.job import Measurable
from toolkit.memory.measure.outcome import Outcome, OutcomeKind
from toolkit.memory.measure.process import measured_apart
from toolkit.memory.measure.records import REPRODUCED, keep, merged, record_of, spread
from toolkit.memory.trace.many.campaign import Job, traced
from toolkit.report.measure import comparison_text
from toolkit.report.terminal import Paint


@frozen
class Found:
    """The ledgers side by side with what is out of tolerance, and whether anything is."""

    text: str
    failed: bool = False


@dataclass(slots=True)
class Readings:
    """The measurements of a session: items that need the same one share it."""

    _outcomes: dict[str, list[Outcome]] = field(default_factory=dict)
    _kept: dict[tuple[str, str], str] = field(default_factory=dict)

    @classmethod
    def of(cls, config: pytest.Config) -> Readings:
        """The measurements of a session of pytest."""
        return config.stash.setdefault(_READINGS, cls())

    def outcomes(self, job: Measurable, limit_s: float) -> list[Outcome]:
        """Two runs of a job, alone on the GPU; one, if the first did not finish."""
        if job.identity not in self._outcomes:
            with card_alone():
                found = [measured_apart(job, limit_s)]
                if found[0].kind is OutcomeKind.MEASURED:
                    found.append(measured_apart(job, limit_s))
            self._outcomes[job.identity] = found
        return self._outcomes[job.identity]

    def record(self, job: Measurable, limit_s: float) -> Record | str:
        """Both readings of a job as one record, or why there is none."""
        here = on_card(job)
        outcomes = self.outcomes(here, limit_s)
        ended = [one for one in outcomes if one.kind is not OutcomeKind.MEASURED]
        return ended[0].text(here.setting.gpu or "") if ended else both(here, outcomes)

    def keep(self, record: Record, job: Measurable) -> str:
        """Writes a record beside its spec, once in a session; returns why it was not written, if so."""
        key = (job.folder, record.name)
        if key not in self._kept:
            self._kept[key] = keep(record, Path(job.folder))
        return self._kept[key]


_READINGS: pytest.StashKey[Readings] = pytest.StashKey()


def on_card(job: Measurable) -> Measurable:
    """The job with the GPU of this machine."""
    card = seen_gpu()
    assert isinstance(card, SeenGpu), card  # whoever asks has looked
    return replace(job, setting=replace(job.setting, gpu=card.name))


def both(job: Measurable, outcomes: list[Outcome]) -> Record:
    """One record of two finished runs."""
    first, second = (record_of(job, one) for one in outcomes)
    assert first is not None
    assert second is not None
    return merged(first, second)


def measure_and_compare(job: Measurable, config: pytest.Config) -> Found:
    """Measures a job twice on this GPU, and compares both readings with the formulas and a trace."""
    card, readings = seen_gpu(), Readings.of(config)
    assert isinstance(card, SeenGpu), card
    here, write = on_card(job), bool(config.getoption("--vram-write"))
    outcomes = readings.outcomes(here, config.getoption("--vram-limit"))
    ended = [one for one in outcomes if one.kind is not OutcomeKind.MEASURED]
    if ended:
        return _ended(here, ended[0], card, readings if write else None)
    record = both(here, outcomes)
    failures = []
    if spread(record) > REPRODUCED:
        failures.append(f"two readings lie {float(spread(record)):.2%} apart")
    elif write:
        failures.append(readings.keep(record, here))
    comparison = compare(record, computed(here), _traced(here))
    more = [failure for failure in failures if failure]
    text = "\n".join([comparison_text(record, comparison, Paint()).rstrip(), *more])
    return Found(text, bool(more or comparison.failures))


def _ended(job: Measurable, outcome: Outcome, card: SeenGpu, keeper: Readings | None) -> Found:
    """A card that is full is a result, and wrong only where the formulas say that it is not; all else is a failure.

    What only the libraries' code refuses is skipped, as what is known to be refused before.
    """
    text = f"{job.scenario}: {outcome.text(card.name)}"
    if outcome.kind is OutcomeKind.REFUSED:
        pytest.skip(text)
    if outcome.kind is not OutcomeKind.FULL:
        return Found(text, failed=True)
    record = record_of(job, outcome)
    refusal = keeper.keep(record, job) if keeper and record else ""
    if job.bytes is not None and job.bytes[1] <= card.total:
        return Found(f"{text}: computed to need {job.bytes[1]:,} of {card.total:,} bytes at most", failed=True)
    return Found(f"{text}\n{refusal}" if refusal else text, bool(refusal))


def _traced(job: Measurable) -> Record | None:
    return next(traced([Job(job.scenario, job.setting, job.facts)], 1, lambda _: None)).record
