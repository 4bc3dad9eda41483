"""The stored traces of published runs, and those that are still to be made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from toolkit import __version__
from toolkit.accuracy.traced.chosen import ALLOCATED, SAMPLED, Chosen, comparable, like_for_like, sampled
from toolkit.accuracy.traced.lines import TracedLine, line_of, read_lines, write_lines
from toolkit.memory.trace.many.campaign import Result
from toolkit.spec.published import PublishedSource

Key = tuple[str, tuple[tuple[str, str], ...]]


def to_trace(sources: Iterable[PublishedSource], *, stated: bool) -> list[Chosen]:
    """The settings to trace, with the releases that records state or with the installed ones."""
    scores = comparable(sources, (ALLOCATED,) if stated else SAMPLED)
    return like_for_like(scores)[0] if stated else sampled(scores)


def line_for(chosen: Chosen, result: Result) -> TracedLine:
    """The line that is stored for a result."""
    asked = dict(chosen.pins)
    if result.record is not None:
        return line_of(result.record, chosen.run, chosen.of, asked)
    made = {"date": datetime.now(UTC).date().isoformat(), "toolkit": __version__}
    return TracedLine(chosen.run, chosen.of, asked, reason=result.reason, made=made)


@dataclass(slots=True)
class Kept:
    """The traces stored beside readings, without those that are no longer chosen.

    `chosen` is everything to be traced with one kind of releases; traces with the other kind stay as they are.
    """

    folders: Mapping[str, Path]
    chosen: list[Chosen]
    _source: dict[Key, str] = field(default_factory=dict)
    _lines: dict[str, dict[Key, TracedLine]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._source = {one.key: one.source for one in self.chosen}
        installed = any(not one.pins for one in self.chosen)
        for slug, folder in self.folders.items():
            lines = [one for one in read_lines(folder) if one.key in self._source or installed == bool(one.asked)]
            self._lines[slug] = {one.key: one for one in lines}

    def has(self, one: Chosen) -> bool:
        """Whether its trace is stored."""
        return one.key in self._lines[one.source]

    def add(self, made: TracedLine) -> None:
        """Adds a trace, or replaces the stored one."""
        self._lines[self._source[made.key]][made.key] = made

    def write(self) -> None:
        """Writes the traces of every folder that has any."""
        for slug, lines in self._lines.items():
            if lines:
                write_lines(self.folders[slug], lines.values())
