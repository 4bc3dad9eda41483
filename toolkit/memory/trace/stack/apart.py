"""Jobs traced by the Python of another environment, a few processes at a time, each with its share."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any, BinaryIO

from toolkit.evidence.record import record_from
from toolkit.memory.measure.job import Measurable, as_plain
from toolkit.memory.trace.many.campaign import Job, Result

WORKER = Path(__file__).with_name("worker.py")
OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
"""Nothing is fetched while a trace runs."""
TAIL = 4_000
SAID = 300

Say = Callable[[str], None]


def traced_apart(python: Path, jobs: Sequence[Job], processes: int, say: Say) -> Iterator[Result]:
    """The results, as they come. A process that ends before its time costs the job that it was at, and no other."""
    shares = [list(jobs[start::processes]) for start in range(min(processes, len(jobs)))]
    found: SimpleQueue[Result | str | None] = SimpleQueue()
    running: list[_Share] = [_Share(python, share, found.put) for share in shares]
    for one in running:
        one.thread.start()
    try:
        left = len(running)
        while left:
            event = found.get()
            if event is None:
                left -= 1
            elif isinstance(event, Result):
                yield event
            elif processes < 2:
                say(event)
    finally:  # also where the run is broken off
        for one in running:
            one.stop()


class _Share:
    """Jobs of one process at a time: a new one goes on where the last one ended."""

    def __init__(self, python: Path, jobs: list[Job], put: Callable[[Result | str | None], None]) -> None:
        self._python, self._jobs, self._put = python, jobs, put
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False
        self.thread = Thread(target=self._work, daemon=True)

    def stop(self) -> None:
        """Ends the process, with all that it started."""
        self._stopped = True
        if self._process is not None:
            _end(self._process)

    def _work(self) -> None:
        try:
            while self._jobs and not self._stopped:
                why = self._run()
                if self._jobs and not self._stopped:
                    self._put(Result(self._jobs.pop(0), None, why))
        except Exception as error:  # told to the thread that waits for results, which would wait for ever
            for job in self._jobs:
                self._put(Result(job, None, f"its result could not be read: {type(error).__name__}: {error}"))
        finally:
            self._put(None)

    def _run(self) -> str:
        """Runs a process over the jobs that are left, takes its results, and tells how it ended."""
        with tempfile.TemporaryFile() as errors, tempfile.TemporaryFile() as given:
            given.write(_as_text(self._jobs).encode())
            given.seek(0)
            self._process = process = subprocess.Popen(  # noqa: S603 - an environment's Python and a file of this package
                [str(self._python), "-I", str(WORKER)], stdin=given, stdout=subprocess.PIPE, stderr=errors,
                env={**os.environ, **OFFLINE}, start_new_session=True,
            )  # fmt: skip
            assert process.stdout is not None
            try:
                with process.stdout as lines:
                    for line in lines:
                        self._take(line)
                return _why(process.wait(), errors)
            finally:
                _end(process)

    def _take(self, line: bytes) -> None:
        """Hands on what a process wrote: how far it is, or the result of the first job that is left."""
        said: Mapping[str, Any] = json.loads(line)
        if "says" in said:
            self._put(str(said["says"]))
            return
        record = None if said["record"] is None else record_from(said["record"])
        self._put(Result(self._jobs.pop(0), record, str(said["reason"])))


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends a process and all that it started; it leads their group."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _as_text(jobs: Sequence[Job]) -> str:
    plain = [as_plain(Measurable(job.scenario, job.setting, job.facts)) for job in jobs]
    return json.dumps({"jobs": plain, "whole": any(job.whole for job in jobs)})


def _why(code: int, errors: BinaryIO) -> str:
    errors.seek(0, os.SEEK_END)
    errors.seek(max(0, errors.tell() - TAIL))
    if code < 0:
        return f"the process that traced it was ended by {signal.Signals(-code).name}"
    lines = [line.strip() for line in errors.read().decode("utf-8", "replace").splitlines() if line.strip()]
    return f"the process that traced it ended (exit code {code}): {lines[-1][:SAID] if lines else 'it said nothing'}"
