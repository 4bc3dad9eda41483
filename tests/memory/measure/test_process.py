"""A scenario's process ends as it may: its result is its own, and nothing of it is left."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.memory.measure.jobs import job
from toolkit.memory.measure.outcome import OutcomeKind
from toolkit.memory.measure.process import measured_apart

WRITES = "import sys, json, pathlib; json.load(open(sys.argv[1])); pathlib.Path(sys.argv[2]).write_text({text!r})"


def python(code: str) -> Sequence[str]:
    return (sys.executable, "-c", code)


def test_what_the_process_wrote_is_the_reading() -> None:
    code = WRITES.format(text='{"kind": "measured", "allocated": 7}')
    found = measured_apart(job(), 30, python(code))
    assert (found.kind, found.reading["allocated"]) == (OutcomeKind.MEASURED, 7)


def test_the_process_is_given_the_job() -> None:
    code = (
        "import sys, json, pathlib; said = json.load(open(sys.argv[1])); "
        "pathlib.Path(sys.argv[2]).write_text(json.dumps({'kind': 'refused', 'reason': said['setting']['model']}))"
    )
    assert measured_apart(job(), 30, python(code)).reason == "tiny/model"


def test_a_crash_is_told_by_the_last_line_of_its_traceback() -> None:
    found = measured_apart(
        job(), 30, python("import sys; sys.stderr.write('phase backward\\n'); raise ValueError('bad')")
    )
    assert found.kind is OutcomeKind.CRASHED
    assert found.reason == "exit code 1 in backward: ValueError: bad"


def test_a_killed_process_is_told_by_its_signal() -> None:
    found = measured_apart(job(), 30, python("import os, signal; os.kill(os.getpid(), signal.SIGKILL)"))
    assert found.kind is OutcomeKind.CRASHED
    assert found.reason.startswith("killed by SIGKILL")
    assert "host" in found.reason


@pytest.mark.parametrize("text", ['{"kind": "meas', '{"kind": "splendid"}', "[]", ""])
def test_half_a_result_is_a_crash(text: str) -> None:
    assert measured_apart(job(), 30, python(WRITES.format(text=text))).kind is OutcomeKind.CRASHED


def test_a_result_of_a_process_that_then_failed_is_not_taken() -> None:
    code = WRITES.format(text='{"kind": "measured"}') + "; sys.exit(3)"
    assert measured_apart(job(), 30, python(code)).kind is OutcomeKind.CRASHED


def test_a_hang_is_ended_at_its_limit_with_its_children_and_names_its_phase(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    code = (
        "import subprocess, sys, time, pathlib; "
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']); "
        f"pathlib.Path({str(note)!r}).write_text(str(child.pid)); "
        "sys.stderr.write('phase optimizer_step\\n'); sys.stderr.flush(); time.sleep(600)"
    )
    found = measured_apart(job(), 3, python(code))
    assert found.kind is OutcomeKind.TIMED_OUT
    assert found.reason == "no end after 3 s, in optimizer step"
    assert gone(int(note.read_text()))


def gone(pid: int) -> bool:
    """Whether a process ended: it is not there, or waits to be reaped by whoever adopted it."""
    for _ in range(100):
        try:
            os.kill(pid, 0)
            if Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z":
                return True
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.05)
    return False


def test_nothing_of_the_caller_changes_the_allocator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True")
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    code = (
        "import os, sys, json, pathlib; kept = [name for name in ('PYTORCH_CUDA_ALLOC_CONF', 'CUBLAS_WORKSPACE_CONFIG')"
        " if name in os.environ]; pathlib.Path(sys.argv[2]).write_text("
        "json.dumps({'kind': 'refused', 'reason': str(kept) + os.environ['HF_HUB_OFFLINE']}))"
    )
    assert measured_apart(job(), 30, python(code)).reason == "[]1"


@pytest.mark.parametrize("expandable", [False, True])
def test_the_process_has_the_allocator_that_its_setting_names(
    monkeypatch: pytest.MonkeyPatch, *, expandable: bool
) -> None:
    """torch reads PYTORCH_CUDA_ALLOC_CONF, and since 2.9 PYTORCH_ALLOC_CONF; what was set outside is not its own."""
    monkeypatch.setenv("PYTORCH_CUDA_ALLOC_CONF", "max_split_size_mb:128")
    code = (
        "import sys, json, os, pathlib; said = [os.environ.get(name) for name in "
        "('PYTORCH_CUDA_ALLOC_CONF', 'PYTORCH_ALLOC_CONF')]; "
        "pathlib.Path(sys.argv[2]).write_text(json.dumps({'kind': 'refused', 'reason': json.dumps(said)}))"
    )
    asked = job()
    asked = replace(asked, setting=replace(asked.setting, expandable_segments=expandable))
    said = "expandable_segments:True" if expandable else None
    assert json.loads(measured_apart(asked, 30, python(code)).reason) == [said, said]
