"""Many jobs within a budget: everyone once before anyone twice, and nothing begun that has no room."""

from __future__ import annotations

from dataclasses import replace

from tests.memory.measure.jobs import job, outcome
from toolkit.memory.measure.campaign import MARGIN_S, Left, Result, campaign
from toolkit.memory.measure.job import Measurable
from toolkit.memory.measure.outcome import Outcome, OutcomeKind


class Machine:
    """Takes as long as each job says, by a clock of its own."""

    def __init__(self, *, slower: float = 1.0, ends: dict[str, OutcomeKind] | None = None) -> None:
        self.now = 100.0
        self.limits: list[tuple[str, float]] = []
        self._slower = slower
        self._ends = ends or {}

    def clock(self) -> float:
        return self.now

    def attempt(self, one: Measurable, limit_s: float) -> Outcome:
        self.limits.append((one.scenario, limit_s))
        takes = one.seconds * self._slower
        if takes > limit_s:
            self.now += limit_s
            return Outcome(OutcomeKind.TIMED_OUT, "no end")
        self.now += takes
        kind = self._ends.get(one.scenario, OutcomeKind.MEASURED)
        return outcome() if kind is OutcomeKind.MEASURED else Outcome(kind, "so it is")


def jobs(*names: str, seconds: float = 20.0) -> list[Measurable]:
    return [replace(job(name), seconds=seconds) for name in names]


def order(found: list[Result | Left]) -> list[str]:
    return [f"{'-' if isinstance(one, Left) else ''}{one.job.scenario}{one.round}" for one in found]


def test_every_job_is_measured_once_before_one_is_measured_again() -> None:
    machine = Machine()
    found = list(campaign(jobs("a", "b"), attempt=machine.attempt, clock=machine.clock))
    assert order(found) == ["a1", "b1", "a2", "b2"]
    assert all(isinstance(one, Result) and one.record is not None for one in found)


def test_what_does_not_end_well_is_not_tried_again_and_stops_nothing() -> None:
    ends = {"a": OutcomeKind.CRASHED, "c": OutcomeKind.REFUSED}
    machine = Machine(ends=ends)
    found = list(campaign(jobs("a", "b", "c", "d"), attempt=machine.attempt, clock=machine.clock))
    assert order(found) == ["a1", "b1", "c1", "d1", "b2", "d2"]


def test_a_budget_is_never_passed_and_says_what_it_left() -> None:
    machine = Machine()
    found = list(campaign(jobs("a", "b", "c"), 50 + MARGIN_S, attempt=machine.attempt, clock=machine.clock))
    assert order(found) == ["a1", "b1", "-c1", "-a2", "-b2"]
    assert machine.now <= 100 + 50
    assert "10 s are left" in found[2].reason  # type: ignore[union-attr]


def test_a_short_job_is_measured_in_the_room_that_a_long_one_has_not() -> None:
    machine = Machine()
    waiting = [*jobs("long", seconds=100), *jobs("short", seconds=10)]
    found = list(campaign(waiting, 40, rounds=1, attempt=machine.attempt, clock=machine.clock))
    assert order(found) == ["-long1", "short1"]


def test_the_end_of_a_budget_is_no_result_and_the_end_of_a_limit_is() -> None:
    machine = Machine(slower=3)
    left = list(campaign(jobs("a"), 35, rounds=1, attempt=machine.attempt, clock=machine.clock))
    assert order(left) == ["-a1"]
    assert "before it ended" in left[0].reason  # type: ignore[union-attr]
    machine = Machine(slower=3)
    hung = list(campaign(jobs("a"), 500, rounds=1, limit_s=40, attempt=machine.attempt, clock=machine.clock))
    assert isinstance(hung[0], Result)
    assert hung[0].outcome.kind is OutcomeKind.TIMED_OUT
    assert machine.limits == [("a", 40)]
