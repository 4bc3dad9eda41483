"""The process that measures one job: reads it on stdin, writes what it found to the file that it is given."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from toolkit.memory.measure.job import from_plain


def work(result: Path) -> None:
    """Measures the job on stdin on the GPU."""
    job = from_plain(json.load(sys.stdin))
    from toolkit.memory.measure.cuda import Cuda
    from toolkit.memory.measure.run import measure

    found = measure(job, Cuda())
    beside = result.with_suffix(".part")
    beside.write_text(json.dumps(found, sort_keys=True), "utf-8")
    beside.replace(result)


if __name__ == "__main__":
    work(Path(sys.argv[1]))
