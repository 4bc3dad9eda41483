"""A worker as the toolkit starts it, on the accounting device instead of a GPU.

What the scenario is called decides what goes wrong with it.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from tests.memory.measure.accounting import AccountingDevice
from toolkit.memory.measure import stopwatch
from toolkit.memory.measure.job import Measurable
from toolkit.memory.measure.run import measure
from toolkit.memory.measure.worker import work


def found(job: Measurable) -> Mapping[str, Any]:
    if job.scenario == "crashes":
        raise RuntimeError("CUDA error: an illegal memory access was encountered")
    if job.scenario == "hangs":
        sys.stderr.write(f"hangs as process {os.getpid()}\n")
        sys.stderr.flush()
        time.sleep(600)
    if job.scenario == "is-killed":
        os.abort()
    stopwatch.ROUNDS = 2
    full = job.scenario == "too-large" or (job.scenario == "too-large-for-one" and os.environ.get("RANK") == "1")
    device = AccountingDevice(capacity=2 << 20 if full else None)
    with device:
        return measure(job, device)


if __name__ == "__main__":
    sys.exit(work(Path(sys.argv[1]), Path(sys.argv[2]), found))
