"""Results come from another process as it writes them; what ends it costs one job."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.memory.measure.jobs import job as measurable
from toolkit.memory.trace.many.campaign import Job, Result
from toolkit.memory.trace.stack import apart
from toolkit.memory.trace.stack.apart import traced_apart

HEAD = """\
import json, os, sys
said = json.load(sys.stdin)
def send(**line):
    print(json.dumps(line), flush=True)
for job in said["jobs"]:
    name = job["scenario"]
"""


def job(scenario: str) -> Job:
    given = measurable(scenario)
    return Job(scenario, given.setting, given.facts)


def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, names: str, processes: int = 1) -> list[Result]:
    worker = tmp_path / "worker.py"
    worker.write_text(HEAD + body)
    monkeypatch.setattr(apart, "WORKER", worker)
    said: list[str] = []
    found = list(traced_apart(Path(sys.executable), [job(name) for name in names], processes, said.append))
    (tmp_path / "said").write_text("\n".join(said))
    return found


REFUSES = "    send(record=None, reason=name + ' refused')\n"


@pytest.mark.parametrize("processes", [1, 2, 9])
def test_every_job_has_one_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processes: int) -> None:
    found = results(tmp_path, monkeypatch, REFUSES, "abcde", processes)
    assert sorted((one.job.scenario, one.reason) for one in found) == [(name, f"{name} refused") for name in "abcde"]


def test_progress_is_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results(tmp_path, monkeypatch, "    send(says='tracing ' + name)\n" + REFUSES, "ab")
    assert (tmp_path / "said").read_text().splitlines() == ["tracing a", "tracing b"]


@pytest.mark.parametrize(
    ("end", "said"),
    [
        ("os.kill(os.getpid(), 9)", "ended by SIGKILL"),
        ("sys.exit('no such symbol')", "ended (exit code 1): no such symbol"),
        ("sys.exit(0)", "ended (exit code 0): it said nothing"),
    ],
)
def test_a_process_that_ends_costs_the_job_that_it_was_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str, said: str
) -> None:
    found = results(tmp_path, monkeypatch, f"    if name == 'b': {end}\n{REFUSES}", "abc")
    assert [one.job.scenario for one in found] == ["a", "b", "c"]
    assert said in found[1].reason
    assert found[2].reason == "c refused"


def test_a_line_that_is_no_result_ends_in_reasons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = results(tmp_path, monkeypatch, "    print('{', flush=True)\n", "ab")
    assert {one.job.scenario for one in found} == {"a", "b"}
    assert all(one.record is None and "JSONDecodeError" in one.reason for one in found)


def test_what_is_broken_off_leaves_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = tmp_path / "worker.py"
    worker.write_text(HEAD + REFUSES + "    import time; time.sleep(600)\n")
    monkeypatch.setattr(apart, "WORKER", worker)
    running = traced_apart(Path(sys.executable), [job("a"), job("b")], 1, lambda _: None)
    assert next(running).job.scenario == "a"
    running.close()  # type: ignore[attr-defined]  # a generator, which an Iterator need not be
    assert not [path for path in Path("/proc").glob("[0-9]*/cmdline") if str(worker) in _read(path)]


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""
