"""A plugin for pytest: `pytest -m gpu specs/` measures every scenario of the specs, each in a process of its own.

Without a GPU every measurement is skipped with its reason. A run that asks for none (neither `-m gpu` nor
`--vram-measure`) collects nothing here and imports nothing of the toolkit.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from toolkit.memory.measure.gpu import SeenGpu
    from toolkit.memory.measure.job import Measurable

MARKERS = (
    "gpu: needs a GPU; a measurement of a scenario",
    "gpu_memory(min_gib): needs a GPU with at least so much memory, in GiB",
    "gpu_name(*names): needs a GPU with one of these words in its name",
    "slow: takes more than a minute",
)
PROPERTY = ("vram-toolkit", "measurement")
GIB = 1 << 30
SLOW_S = 60.0
LIMIT_S = 300.0
ASKS_FOR_GPU = re.compile(r"(?<!not )\bgpu\b")
SHARD = re.compile(r"([1-9]\d{0,3})/([1-9]\d{0,3})")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the options, each with the toolkit's prefix."""
    group = parser.getgroup("vram-toolkit", "measurements of GPU memory")
    group.addoption("--vram-measure", action="store_true", help="collect scenarios of claims.yaml, as `-m gpu` does")
    group.addoption("--vram-write", action="store_true", help="keep the records in evidence/ beside each spec")
    group.addoption("--vram-limit", type=float, default=LIMIT_S, metavar="SECONDS", help="for each run (default: 300)")
    group.addoption("--vram-shard", metavar="K/N", help="only the K-th of N equal parts of the measurements")
    parser.addini(
        "vram_markers", "skip any test by gpu, gpu_memory and gpu_name, not measurements alone", "bool", False
    )


def pytest_configure(config: pytest.Config) -> None:
    """Makes the markers known."""
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
    shard = config.getoption("--vram-shard")
    if shard is not None and _shard(shard) is None:
        raise pytest.UsageError("--vram-shard is written as K/N with K from 1 to N, such as 2/5")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Specs, where measurements are asked for."""
    if not file_path.name.endswith(("claims.yaml", "claims.yml")) or not _asked(parent.config):
        return None
    from toolkit.spec.walk import is_spec

    return SpecFile.from_parent(parent, path=file_path) if is_spec(file_path.name) else None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves this machine's part of the measurements, told by their ids alone: no machine needs to know of others."""
    shard = _shard(config.getoption("--vram-shard") or "1/1")
    if shard is None or shard[1] == 1:
        return
    number, parts = shard
    others = [item for item in items if isinstance(item, Measurement) and _part(item.nodeid, parts) != number - 1]
    if others:
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in set(others)]


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skips what this machine's GPU cannot run, with the reason."""
    if isinstance(item, Measurement) or item.config.getini("vram_markers"):
        reason = _unmet(item)
        if reason:
            pytest.skip(reason)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Says how many measurements were made, and how many were not, and why."""
    made = [report for name in ("passed", "failed") for report in _own(terminalreporter, name)]
    skipped = _own(terminalreporter, "skipped")
    if not made and not skipped:
        return
    text = f"measurements: {len(made)} made, {len(skipped)} not measured"
    reasons = dict.fromkeys(_reason(report) for report in skipped)
    terminalreporter.write_line("; ".join([text, *reasons][:4]))


def pytest_sessionstart(session: pytest.Session) -> None:
    """Gives each worker of pytest-xdist a card of its own, as far as there are several."""
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker and _asked(session.config):
        from toolkit.memory.measure.gpu import card_of_worker, count_cards

        card = card_of_worker(worker, count_cards())
        if card is not None:
            os.environ["CUDA_VISIBLE_DEVICES"] = card


class SpecFile(pytest.File):
    """The scenarios of one spec."""

    def collect(self) -> Iterator[pytest.Item]:
        """A measurement for the smallest and the largest setting of each scenario."""
        from toolkit.checks.measurable import measurables
        from toolkit.finding import Severity

        found = measurables([self.path], self.config.rootpath)
        errors = [str(finding) for finding in found.findings if finding.severity is Severity.ERROR]
        if errors:
            raise self.CollectError("\n".join(errors))
        names: dict[str, int] = {}
        for job in found.jobs:
            names[job.scenario] = number = names.get(job.scenario, 0) + 1
            name = job.scenario if number == 1 else f"{job.scenario}[largest]"
            here = replace(job, folder=str(self.config.rootpath / job.folder))
            yield Measurement.from_parent(self, name=name, job=here)


class Measurement(pytest.Item):
    """One scenario at one setting, measured twice on the GPU and held against the formulas and a trace."""

    def __init__(self, *, job: Measurable, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.job = job
        self.user_properties.append(PROPERTY)
        self.add_marker(pytest.mark.gpu)
        if job.bytes is not None:
            self.add_marker(pytest.mark.gpu_memory(-(-job.bytes[0] // GIB)))
        if job.seconds > SLOW_S:
            self.add_marker(pytest.mark.slow)

    def runtest(self) -> None:
        """Measures and compares."""
        from toolkit.plugins.measurement import measure_and_compare

        config = self.config
        found = measure_and_compare(self.job, config.getoption("--vram-limit"), write=config.getoption("--vram-write"))
        self.add_report_section("call", "measurement", found.text)
        if found.failed:
            raise MeasurementError(found.text)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The ledgers side by side, without the toolkit's own frames."""
        if isinstance(excinfo.value, MeasurementError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """The spec and the scenario."""
        return self.path, None, f"measurement: {self.name}"


class MeasurementError(Exception):
    """A measurement that was not made, or lies outside the stated tolerances."""


def _asked(config: pytest.Config) -> bool:
    return bool(config.getoption("--vram-measure") or ASKS_FOR_GPU.search(config.getoption("-m") or ""))


def _unmet(item: pytest.Item) -> str:
    """Why this machine's GPU cannot run an item; empty where it can, or where it asks for none."""
    memory, names = item.get_closest_marker("gpu_memory"), item.get_closest_marker("gpu_name")
    if not (memory or names or item.get_closest_marker("gpu")):
        return ""
    from toolkit.memory.measure.gpu import seen_gpu

    card = seen_gpu()
    if isinstance(card, str):
        return card
    return _too_small(memory, card) or _other(names, card)


def _too_small(memory: pytest.Mark | None, card: SeenGpu) -> str:
    if memory is None or not memory.args or card.total >= memory.args[0] * GIB:
        return ""
    return f"needs {memory.args[0]} GiB, and {card.name} has {card.total / GIB:.1f}"


def _other(names: pytest.Mark | None, card: SeenGpu) -> str:
    if names is None or any(str(name).casefold() in card.name.casefold() for name in names.args):
        return ""
    return f"needs {' or '.join(map(str, names.args))}, and the GPU is {card.name}"


def _shard(text: str) -> tuple[int, int] | None:
    found = SHARD.fullmatch(text)
    if found is None or int(found[1]) > int(found[2]):
        return None
    return int(found[1]), int(found[2])


def _part(nodeid: str, parts: int) -> int:
    """The same on every machine, unlike `hash`."""
    return int.from_bytes(hashlib.sha256(nodeid.encode("utf-8", "replace")).digest()[:8]) % parts


def _own(terminalreporter: Any, outcome: str) -> list[Any]:
    """Reports of measurements; by their properties, which workers of pytest-xdist send along."""
    reports = terminalreporter.stats.get(outcome, [])
    return [report for report in reports if PROPERTY in map(tuple, getattr(report, "user_properties", ()))]


def _reason(report: Any) -> str:
    long = report.longrepr
    return str(long[2] if isinstance(long, tuple) else long).removeprefix("Skipped: ")
