"""A campaign's results as one file of JSON lines, each there as soon as it is known: the machine may be given back."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from toolkit.evidence.record import Record, record_from
from toolkit.memory.measure.campaign import Left, Result

NAME = "results.jsonl"


def append(file: Path, result: Result | Left) -> None:
    """Adds a result and waits until it is on disk. Raises OSError where it cannot be written."""
    line: dict[str, Any] = {"scenario": result.job.scenario, "folder": result.job.folder, "round": result.round}
    if isinstance(result, Left):
        line |= {"kind": "left", "reason": result.reason}
    else:
        line |= {"kind": result.outcome.kind.value, "reason": result.outcome.reason, "seconds": result.outcome.seconds}
        line["record"] = json.loads(result.record.text()) if result.record else None
    _add(file, line)


def append_trace(file: Path, folder: str, record: Record) -> None:
    """Adds a trace that was made beside a measurement, with the same libraries."""
    line = {"scenario": record.scenario, "folder": folder, "round": 0, "kind": "traced", "reason": ""}
    _add(file, {**line, "record": json.loads(record.text())})


def _add(file: Path, line: dict[str, Any]) -> None:
    with file.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(line, sort_keys=True) + "\n")
        stream.flush()
        os.fsync(stream.fileno())


def records_in(file: Path) -> Iterator[tuple[str, Record] | str]:
    """The records of a file with the folders that they belong in; for a line without one, why, as a sentence."""
    try:
        lines = file.read_text("utf-8").splitlines()
    except (OSError, ValueError) as error:
        yield f"{file} cannot be read: {getattr(error, 'strerror', None) or error}"
        return
    for number, text in enumerate(lines, 1):
        try:
            line = json.loads(text)
            if line["record"] is None if "record" in line else True:
                yield f"line {number}: {line['scenario']}: {line['kind']}: {line['reason']}"
                continue
            yield str(line["folder"]), record_from(line["record"])
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            yield f"line {number} holds no result: {type(error).__name__}: {error}"
