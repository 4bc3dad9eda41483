"""Speeds that a document compares, as benchmarks: pytest-benchmark shows and stores what was timed on the GPU.

The clock of these benchmarks is not that of this process: it replays the rounds of the process that measured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest

from toolkit.plugins.pytest import PROPERTY

if TYPE_CHECKING:
    from toolkit.checks.situations.speed_pairs import SpeedPair
    from toolkit.memory.measure.job import Measurable


class Speed(pytest.Function):
    """One of two compared scenarios, timed in one kind of work."""

    group: str


def speed_items(parent: pytest.Collector, pairs: Sequence[SpeedPair]) -> Iterator[Speed]:
    """Two benchmarks for each pair, as one group."""
    root = parent.config.rootpath
    for pair in pairs:
        for job in (pair.start, pair.end):
            clock = Clock()
            name = f"speed[{pair.name}]:{job.scenario}"
            item: Speed = Speed.from_parent(
                parent,
                name=name,
                callobj=_timed(parent.config, replace(job, folder=str(root / job.folder)), pair, clock),
            )
            item.group = pair.name
            item.user_properties.append(PROPERTY)
            item.add_marker(pytest.mark.gpu)
            item.add_marker(pytest.mark.benchmark(group=pair.name, timer=clock.now))
            if job.bytes is not None:
                item.add_marker(pytest.mark.gpu_memory(-(-job.bytes[0] // (1 << 30))))
            yield item


class Clock:
    """A clock that advances by the recorded duration of each round while pytest-benchmark "runs" it."""

    def __init__(self) -> None:
        self._now = 0.0
        self._rounds: list[float] = []

    def load(self, rounds: Sequence[Fraction]) -> None:
        """Sets the durations of the rounds, in seconds."""
        self._rounds = [float(one) for one in rounds]

    def now(self) -> float:
        """Seconds since the first round began."""
        return self._now

    def go_on(self) -> None:
        """Advances by one round; does nothing after the last."""
        if self._rounds:
            self._now += self._rounds.pop(0)


def _timed(config: pytest.Config, job: Measurable, pair: SpeedPair, clock: Clock) -> Callable[..., None]:
    if not config.pluginmanager.hasplugin("benchmark"):

        def without() -> None:
            pytest.skip("pytest-benchmark is not installed")

        return without

    def timed(benchmark: Any) -> None:
        from toolkit.memory.measure.speed import samples
        from toolkit.plugins.measurement import Readings

        readings = Readings.of(config)
        record = readings.record(job, config.getoption("--vram-limit"))
        if isinstance(record, str):
            pytest.skip(record)
        rounds = [
            one for reading in record.made["readings"] for one in samples(record.setting, reading["laps"], pair.work)
        ]
        if not rounds:
            pytest.skip(f"{job.scenario} was not timed in {pair.work}")
        if config.getoption("--vram-write") and (refusal := readings.keep(record, job)):
            pytest.fail(refusal, pytrace=False)
        clock.load(rounds)
        benchmark.extra_info.update(
            scenario=job.scenario, work=pair.work, gpu=record.gpu, batch_size=job.setting.batch_size
        )
        benchmark.pedantic(clock.go_on, rounds=len(rounds), iterations=1)

    return timed
