"""A worker as the toolkit starts it, on the accounting device instead of a GPU.

What the scenario is called decides what goes wrong with it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from tests.memory.measure.accounting import AccountingDevice
from toolkit.memory.measure.job import from_plain
from toolkit.memory.measure.run import measure


def main() -> None:
    job = from_plain(json.load(sys.stdin))
    if job.scenario == "crashes":
        raise RuntimeError("CUDA error: an illegal memory access was encountered")
    if job.scenario == "hangs":
        time.sleep(600)
    if job.scenario == "is-killed":
        os.abort()
    device = AccountingDevice(capacity=2 << 20 if job.scenario == "too-large" else None)
    with device:
        found = measure(job, device)
    Path(sys.argv[1]).write_text(json.dumps(found), "utf-8")


if __name__ == "__main__":
    main()
