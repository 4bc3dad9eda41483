"""The process that measures one job: reads it from a file, and writes what it found to another.

Under torchrun it is one of several, each with a GPU and a file of its own.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from toolkit.memory.measure.job import Measurable, from_plain
from toolkit.memory.measure.outcome import OutcomeKind

NOT_MEASURED = 3
"""The exit code of a rank that has nothing to go on with: torchrun ends the others, which wait for it."""


PR_SET_PDEATHSIG = 1
"""Linux's prctl(2)."""


def work(job: Path, result: Path, found_of: Callable[[Measurable], Mapping[str, Any]]) -> int:
    """Measures a job and writes what was found, whole or not at all; returns the code to exit with."""
    rank = os.environ.get("RANK")
    if rank is not None:
        _end_with_torchrun()
    found = found_of(from_plain(json.loads(job.read_text("utf-8"))))
    file = result if rank is None else rank_file(result, int(rank))
    beside = file.with_suffix(".part")
    beside.write_text(json.dumps(found, sort_keys=True), "utf-8")
    beside.replace(file)
    return 0 if rank is None or found["kind"] == OutcomeKind.MEASURED else NOT_MEASURED


def _end_with_torchrun() -> None:
    """Asks Linux to end this process with its parent: torchrun's processes lead groups that a kill does not reach."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def rank_file(result: Path, rank: int) -> Path:
    """Where a rank writes."""
    return result.with_name(f"{result.stem}-{rank}{result.suffix}")


def on_gpu(job: Measurable) -> Mapping[str, Any]:
    """What was read on this process's GPU."""
    from toolkit.memory.measure.cuda import Cuda
    from toolkit.memory.measure.run import measure

    return measure(job, Cuda(int(os.environ.get("LOCAL_RANK", "0"))))


if __name__ == "__main__":
    sys.exit(work(Path(sys.argv[1]), Path(sys.argv[2]), on_gpu))
