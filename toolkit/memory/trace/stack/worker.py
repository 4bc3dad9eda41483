"""The process that traces with the libraries of another environment.

It is run by its path, with nothing of this package installed there: jobs come on stdin, and each result goes out as a
line of JSON as soon as it is there. What libraries print goes to stderr.
"""

from __future__ import annotations

import json
import os
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any, TextIO

PACKAGE = "toolkit"


def find_package() -> None:
    """Lets this package be imported from where this file lies, and nothing else that lies beside it."""
    folder = Path(__file__).resolve().parents[3]
    spec = spec_from_file_location(PACKAGE, folder / "__init__.py", submodule_search_locations=[str(folder)])
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[PACKAGE] = module
    spec.loader.exec_module(module)


def work(said: dict[str, Any], out: TextIO) -> None:
    """Traces the jobs one after the other."""
    from toolkit.memory.measure.job import from_plain
    from toolkit.memory.trace.many.campaign import Job, traced

    def send(line: dict[str, Any]) -> None:
        out.write(json.dumps(line) + "\n")
        out.flush()

    for plain in said["jobs"]:
        try:
            given = from_plain(plain)
            job = Job(given.scenario, given.setting, given.facts, bool(said["whole"]))
            result = next(traced([job], 1, lambda text: send({"says": text})))
        except Exception as error:  # any way in which a release does not run is told, and ends no other job
            send({"record": None, "reason": f"these releases do not run it: {_told(error)}"})
            continue
        record = None if result.record is None else json.loads(result.record.text())
        send({"record": record, "reason": result.reason})


def _told(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[-1][:300] if lines else 'it says nothing'}"


def main() -> None:
    """Keeps stdout for results: libraries that print there must not be taken for them."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as out:
        os.dup2(2, 1)
        find_package()
        work(json.load(sys.stdin), out)


if __name__ == "__main__":
    main()
