"""One measurement as a test: run twice, kept, and held against what was computed and traced."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from toolkit.checks.measurable import computed
from toolkit.evidence.record import Record
from toolkit.memory.measure.alone import card_alone
from toolkit.memory.measure.compare import compare
from toolkit.memory.measure.gpu import SeenGpu, seen_gpu
from toolkit.memory.measure.job import Measurable
from toolkit.memory.measure.outcome import Outcome, OutcomeKind
from toolkit.memory.measure.process import measured_apart
from toolkit.memory.measure.records import REPRODUCED, keep, merged, record_of, spread
from toolkit.memory.trace.campaign import Job, traced
from toolkit.report.measure import comparison_text
from toolkit.report.terminal import Paint


@dataclass(frozen=True, slots=True)
class Found:
    """The ledgers side by side with what is wrong, and whether anything is."""

    text: str
    failed: bool = False


def measure_and_compare(job: Measurable, limit_s: float, *, write: bool) -> Found:
    """Measures a job twice on the GPU that is there, alone on it."""
    card = seen_gpu()
    assert isinstance(card, SeenGpu), card  # whoever asks has looked
    here = replace(job, setting=replace(job.setting, gpu=card.name))
    with card_alone():
        outcomes = [measured_apart(here, limit_s)]
        if outcomes[0].kind is OutcomeKind.MEASURED:
            outcomes.append(measured_apart(here, limit_s))
    return judged(here, outcomes, card, write=write)


def judged(job: Measurable, outcomes: list[Outcome], card: SeenGpu, *, write: bool) -> Found:
    """What the runs say, kept if asked for."""
    ended = [one for one in outcomes if one.kind is not OutcomeKind.MEASURED]
    if ended:
        return _ended(job, ended[0], card, write=write)
    records = [record for one in outcomes if (record := record_of(job, one)) is not None]
    record = merged(records[0], records[1])
    failures = []
    if spread(record) > REPRODUCED:
        failures.append(f"two readings lie {float(spread(record)):.2%} apart")
    elif write:
        failures.append(keep(record, Path(job.folder)))
    comparison = compare(record, computed(job), _traced(job))
    more = [failure for failure in failures if failure]
    text = "\n".join([comparison_text(record, comparison, Paint()).rstrip(), *more])
    return Found(text, bool(more or comparison.failures))


def _ended(job: Measurable, outcome: Outcome, card: SeenGpu, *, write: bool) -> Found:
    """A card that is full is a result, and wrong only where the formulas say that it is not; all else is a failure."""
    text = f"{job.scenario}: {outcome.text(card.name)}"
    if outcome.kind is OutcomeKind.REFUSED:
        return Found(f"{text}: it cannot be measured yet", failed=True)
    if outcome.kind is not OutcomeKind.FULL:
        return Found(text, failed=True)
    record = record_of(job, outcome)
    refusal = keep(record, Path(job.folder)) if write and record else ""
    if job.bytes is not None and job.bytes[1] <= card.total:
        return Found(f"{text}: computed to need {job.bytes[1]:,} of {card.total:,} bytes at most", failed=True)
    return Found(f"{text}\n{refusal}" if refusal else text, bool(refusal))


def _traced(job: Measurable) -> Record | None:
    return next(traced([Job(job.scenario, job.setting, job.facts)], 1, lambda _: None)).record
