"""Many jobs on one card, one after the other, each in its own process, within a budget of time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from toolkit.evidence.record import Record
from toolkit.frozen import frozen
from toolkit.memory.measure.job import Measurable
from toolkit.memory.measure.outcome import Outcome, OutcomeKind
from toolkit.memory.measure.process import measured_apart
from toolkit.memory.measure.records import record_of

LIMIT_S = 300.0
"""No scenario takes longer than this, or it hangs."""

MARGIN_S = 5.0
"""Kept at the end of a budget, so that the last process is ended and its result written within it."""

Attempt = Callable[[Measurable, float], Outcome]


@frozen
class Result:
    """What came of a job in one round. `record` is None where nothing lasting was read."""

    job: Measurable
    round: int
    outcome: Outcome
    record: Record | None


@frozen
class Left:
    """A job that the budget had no room for, in a round."""

    job: Measurable
    round: int
    reason: str


def campaign(
    jobs: Sequence[Measurable],
    budget_s: float | None = None,
    rounds: int = 2,
    limit_s: float = LIMIT_S,
    attempt: Attempt = measured_apart,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Result | Left]:
    """Measures every job once, and only then again: a second reading is worth less than a first one of another.

    A job is not begun where the budget has no room for what it is expected to take, and is ended where the budget is
    over; neither says anything about the job. What did not come to its end in one round is not tried in the next.
    """
    ends = None if budget_s is None else clock() + budget_s - MARGIN_S
    remaining = list(jobs)
    for number in range(1, rounds + 1):
        done = []
        for job in remaining:
            room = limit_s if ends is None else ends - clock()
            if room < min(job.seconds, limit_s):
                yield Left(
                    job, number, f"{max(room, 0):.0f} s are left, and it is expected to take {job.seconds:.0f} s"
                )
                continue
            outcome = attempt(job, min(room, limit_s))
            if outcome.kind is OutcomeKind.TIMED_OUT and room < limit_s:
                yield Left(job, number, "the budget was over before it ended")
                continue
            yield Result(job, number, outcome, record_of(job, outcome))
            if outcome.kind is OutcomeKind.MEASURED:
                done.append(job)
        remaining = done
