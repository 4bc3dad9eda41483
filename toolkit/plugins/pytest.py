"""A plugin for pytest: `pytest -m gpu specs/` measures every scenario of the specs, each in a process of its own.

Without a GPU every measurement is skipped with its reason. A run that asks for none (neither `-m gpu` nor
`--vram-measure`) collects nothing here and imports nothing of the toolkit.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from toolkit.memory.measure.job import Measurable

MARKERS = (
    "gpu: needs a GPU; a measurement of a scenario",
    "gpu_memory(min_gib): needs a GPU with at least so much memory, in GiB",
    "gpu_name(*names): needs a GPU with one of these words in its name",
    "gpu_count(least): needs a machine with so many GPUs",
    "slow: takes more than a minute",
)
PROPERTY = ("vram-toolkit", "measurement")
"""The property that marks the reports of measurements: workers of pytest-xdist send it along."""

GIB = 1 << 30
SLOW_S = 60.0
LIMIT_S = 300.0
NOT_AN_ERROR = (
    "Not saving anything, no benchmarks have been run",
    "Benchmarks are automatically disabled because xdist plugin is active",
)
"""Warnings of pytest-benchmark without a GPU or with several workers; they are no errors, even under -W error."""

ASKS_FOR_GPU = re.compile(r"(?<!not )\bgpu\b")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the options, all with the prefix --vram."""
    group = parser.getgroup("vram-toolkit", "measurements of GPU memory")
    group.addoption("--vram-measure", action="store_true", help="collect scenarios of claims.yaml, as `-m gpu` does")
    group.addoption("--vram-write", action="store_true", help="keep the records in evidence/ beside each spec")
    group.addoption("--vram-limit", type=float, default=LIMIT_S, metavar="SECONDS", help="for each run (default: 300)")
    group.addoption("--vram-shard", metavar="K/N", help="only the K-th of N equal parts of the measurements")
    parser.addini(
        "vram_markers", "skip any test by gpu, gpu_memory and gpu_name, not measurements alone", "bool", False
    )


def pytest_configure(config: pytest.Config) -> None:
    """Registers the markers."""
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
    if _asked(config):
        _pass_over_warnings(config)
    written = config.getoption("--vram-shard")
    if written is not None:
        from toolkit.memory.measure.shard import WRITTEN, parsed_shard

        if parsed_shard(written) is None:
            raise pytest.UsageError(f"--vram-shard is {WRITTEN}")


def _pass_over_warnings(config: pytest.Config) -> None:
    """Ignores the warnings of NOT_AN_ERROR, both within pytest's own contexts and after them."""
    ours = ExitStack()
    ours.enter_context(warnings.catch_warnings())
    for message in NOT_AN_ERROR:
        warnings.filterwarnings("ignore", message)
        config.addinivalue_line("filterwarnings", f"ignore:{message}")
    config.add_cleanup(ours.close)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collects specs and files of scenarios, if measurements are asked for."""
    if not file_path.name.endswith((".yaml", ".yml")) or not _asked(parent.config):
        return None
    from toolkit.spec.load_scenarios import holds_scenarios
    from toolkit.spec.walk import is_spec

    wanted = is_spec(file_path.name) or holds_scenarios(file_path)
    return SpecFile.from_parent(parent, path=file_path) if wanted else None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselects the measurements of other shards, by their ids alone."""
    if config.getoption("--vram-shard") is None:
        return
    from toolkit.memory.measure.shard import parsed_shard

    shard = parsed_shard(config.getoption("--vram-shard"))
    assert shard is not None
    others = [item for item in items if (group := _group(item)) is not None and not shard.has(group)]
    if others:
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in set(others)]


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skips what this machine's GPU cannot run, with the reason."""
    if PROPERTY in item.user_properties or item.config.getini("vram_markers"):
        from toolkit.plugins.needs import unmet

        reason = unmet(item)
        if reason:
            pytest.skip(reason)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Prints how many measurements were made, how many were not, and why."""
    made = [report for name in ("passed", "failed") for report in _own(terminalreporter, name)]
    skipped = _own(terminalreporter, "skipped")
    if not made and not skipped:
        return
    text = f"measurements: {len(made)} made, {len(skipped)} not measured"
    reasons = dict.fromkeys(_reason(report) for report in skipped)
    terminalreporter.write_line("; ".join([text, *reasons][:4]))


def pytest_sessionstart(session: pytest.Session) -> None:
    """Gives each worker of pytest-xdist a GPU of its own, as far as there are enough."""
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker and _asked(session.config):
        from toolkit.memory.measure.gpu import card_of_worker, count_cards

        card = card_of_worker(worker, count_cards())
        if card is not None:
            os.environ["CUDA_VISIBLE_DEVICES"] = card


class SpecFile(pytest.File):
    """A file with scenarios."""

    def collect(self) -> Iterator[pytest.Item]:
        """Yields a measurement for every setting that is worth one, and benchmarks for compared speeds."""
        from toolkit.checks.situations.measurable import measurables
        from toolkit.finding import Severity

        found = measurables([self.path], self.config.rootpath)
        errors = [str(finding) for finding in found.findings if finding.severity is Severity.ERROR]
        if errors:
            raise self.CollectError("\n".join(errors))
        for job in found.jobs:
            here = replace(job, folder=str(self.config.rootpath / job.folder))
            yield Measurement.from_parent(self, name=job.name, job=here)
        for scenario, reasons in found.refused.items():
            yield Refused.from_parent(self, name=f"{scenario}[refused]", reason="; ".join(dict.fromkeys(reasons)))
        yield from self._speeds()

    def _speeds(self) -> Iterator[pytest.Item]:
        from toolkit.checks.situations.speed_pairs import listed_pairs, speed_pairs
        from toolkit.plugins.speed import speed_items
        from toolkit.spec.load import load_specs
        from toolkit.spec.load_scenarios import holds_scenarios

        root = self.config.rootpath
        if holds_scenarios(self.path):
            return speed_items(self, listed_pairs(self.path, root))
        specs, _ = load_specs([self.path], root)
        return speed_items(self, speed_pairs(specs, root))


class Measurement(pytest.Item):
    """A test: one scenario at one setting, measured twice on the GPU and compared with the formulas and a trace."""

    def __init__(self, *, job: Measurable, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.job = job
        self.user_properties.append(PROPERTY)
        self.add_marker(pytest.mark.gpu)
        if job.bytes is not None:
            self.add_marker(pytest.mark.gpu_memory(-(-job.bytes[0] // GIB)))
        if job.setting.parallel.gpus > 1:
            self.add_marker(pytest.mark.gpu_count(job.setting.parallel.gpus))
        if job.seconds > SLOW_S:
            self.add_marker(pytest.mark.slow)

    def runtest(self) -> None:
        """Measures, compares, and fails where something is out of tolerance."""
        from toolkit.plugins.measurement import measure_and_compare

        found = measure_and_compare(self.job, self.config)
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


class Refused(pytest.Item):
    """The settings of a scenario that nothing here can measure: counted as not measured, with the reason."""

    def __init__(self, *, reason: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._reason = reason
        self.user_properties.append(PROPERTY)
        self.add_marker(pytest.mark.gpu)

    def runtest(self) -> None:
        """Skips on every machine."""
        pytest.skip(self._reason)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """The spec and the scenario."""
        return self.path, None, f"measurement: {self.name}"


class MeasurementError(Exception):
    """A measurement that was not made, or lies outside the stated tolerances."""


def _asked(config: pytest.Config) -> bool:
    return bool(config.getoption("--vram-measure") or ASKS_FOR_GPU.search(config.getoption("-m") or ""))


def _group(item: pytest.Item) -> str | None:
    """The id by which an item is sharded: both sides of a compared speed share one; None for other tests."""
    if PROPERTY not in item.user_properties:
        return None
    if item.parent is not None and hasattr(item, "group"):
        return f"{item.parent.nodeid}::{item.group}"
    return item.nodeid


def _own(terminalreporter: Any, outcome: str) -> list[Any]:
    """Reports of measurements; by their properties, which workers of pytest-xdist send along."""
    reports = terminalreporter.stats.get(outcome, [])
    return [report for report in reports if PROPERTY in map(tuple, getattr(report, "user_properties", ()))]


def _reason(report: Any) -> str:
    long = report.longrepr
    return str(long[2] if isinstance(long, tuple) else long).removeprefix("Skipped: ")
