"""Stored traces of published runs: one line of JSON each, beside the readings."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field, fields
from pathlib import Path
from typing import Any

from toolkit.evidence.record import Record, setting_key
from toolkit.evidence.write import write_whole
from toolkit.frozen import frozen
from toolkit.spec.settings.setting import Setting

FILE = "traced.jsonl"
DIGITS = 12
MAX_BYTES = 16 * 1024 * 1024
LARGEST = 1 << 60

Bytes = tuple[int, int]


@frozen
class TracedLine:
    """One trace of a run with some releases, or the reason why there is none.

    `run` names the run in readings.jsonl, `of` is the fingerprint of its setting and of its model's config, `asked`
    the releases that were asked for (none: those that were installed), `libraries` those that ran. `blocks` is what
    torch.cuda.max_memory_allocated would say; `parts` are the bytes of each category at the peak.
    """

    run: str
    of: str
    asked: Mapping[str, str]
    libraries: Mapping[str, str] = field(default_factory=dict)
    allocated: int = 0
    blocks: Bytes = (0, 0)
    reserved: Bytes = (0, 0)
    device: Bytes = (0, 0)
    phase: str = ""
    operation: str = ""
    parts: Mapping[str, int] = field(default_factory=dict)
    traced: str = ""
    reason: str = ""
    made: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, tuple[tuple[str, str], ...]]:
        """The fingerprint of what is traced, and the releases that trace it."""
        return self.of, tuple(sorted(self.asked.items()))

    def text(self) -> str:
        """The line of JSON; the same bytes for the same trace."""
        return json.dumps(_plain(self) | {"digest": _digest(self)}, ensure_ascii=False) + "\n"


def fingerprint(setting: Setting, config_hash: str) -> str:
    """A hash of what is run, in hexadecimal."""
    return _hash({"setting": setting_key(setting), "config": config_hash})


def line_of(record: Record, run: str, of: str, asked: Mapping[str, str]) -> TracedLine:
    """The line that is stored for a record."""
    peak = record.peak
    phase = next(one for one in record.phases if one["phase"] == peak["phase"])
    return TracedLine(
        run=run,
        of=of,
        asked=dict(asked),
        libraries=dict(record.libraries),
        allocated=peak["allocated"],
        blocks=tuple(peak["blocks"]),
        reserved=tuple(peak["reserved"]),
        device=tuple(peak["device"]),
        phase=peak["phase"],
        operation=peak["operation"],
        parts=dict(phase["categories"]),
        traced=record.made["traced"],
        made={name: record.made[name] for name in ("date", "seconds", "toolkit")},
    )


def read_lines(folder: Path) -> list[TracedLine]:
    """The traces beside the readings of a folder. Raises OSError, or ValueError for an invalid line."""
    path = folder / FILE
    if not path.exists():
        return []
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"{path}: larger than {MAX_BYTES:,} bytes")
    return list(_read(path))


def write_lines(folder: Path, lines: Iterable[TracedLine]) -> None:
    """Writes the traces of a folder, in order of what they are of, whole or not at all."""
    ordered = sorted(lines, key=lambda one: (one.run, one.key))
    write_whole(folder / FILE, "".join(one.text() for one in ordered))


def _read(path: Path) -> Iterator[TracedLine]:
    for number, text in enumerate(path.read_text("utf-8").split("\n"), 1):
        if not text:
            continue
        try:
            yield _line(json.loads(text))
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ValueError(f"{path}:{number}: no line of a trace: {error}") from error


def _line(said: Any) -> TracedLine:
    if not isinstance(said, dict):
        raise TypeError("not an object")
    digest = said.pop("digest")
    for name in ("blocks", "reserved", "device"):
        ends = said[name] = tuple(said[name])
        if len(ends) != 2 or not all(map(_is_size, ends)) or ends[0] > ends[1]:
            raise ValueError(f"its {name} bytes are no interval")
    line = TracedLine(**said)
    if not _is_size(line.allocated) or digest != _digest(line):
        raise ValueError("its contents are not those that were written")
    return line


def _is_size(value: object) -> bool:
    return type(value) is int and 0 <= value < LARGEST


def _plain(line: TracedLine) -> dict[str, Any]:
    return {one.name: getattr(line, one.name) for one in fields(line)}


def _digest(line: TracedLine) -> str:
    return _hash(_plain(line))


def _hash(value: object) -> str:
    plain = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(plain.encode("ascii")).hexdigest()[:DIGITS]
