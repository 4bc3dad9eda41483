"""Timelines as sequences of events that can be compared with each other and written out again."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import field, replace

from toolkit.frozen import frozen
from toolkit.memory.ledger import Category
from toolkit.memory.timeline.timeline import Allocation, Timeline

_LAYER = re.compile(r"((?:[^.\d][^.]*\.)*)(\d+)((?:\..*)?)", re.DOTALL)
"""A module's path up to its first number, the number, and the rest: the number is the layer."""

Line = tuple[int, int, int]
"""A number: the first value, plus the second for each further period, plus the third for each copy."""


@frozen
class Run:
    """A timeline, and the categories of its lasting allocations, by index."""

    timeline: Timeline
    kinds: Mapping[int, Category] = field(default_factory=dict)


def settled(run: Run, start: str) -> Run:
    """The same run from the first mark of that name on; what is alive by then is allocated first, in its order.

    Consecutive releases are sorted by their allocations: the order in which Python frees several objects at once is
    arbitrary, and neither a peak nor the caching allocator depends on it.
    """
    old = run.timeline
    first = next(event for event, name in old.marks if name == start)
    there = sorted(old.alive(first - 1))
    new = Timeline()
    kinds: dict[int, Category] = {}
    index_of: dict[int, int] = {}
    marks = [(event, name) for event, name in old.marks if event >= first]
    releases: list[int] = []
    changes = [index + 1 for index in there] + old.events[first:]
    for number, change in enumerate(changes, first - len(there)):
        if change > 0 or (marks and marks[0][0] <= number):
            _release(new, releases)
        while marks and marks[0][0] <= number:
            new.mark(marks.pop(0)[1])
        if change < 0:
            releases.append(index_of[-change - 1])
            continue
        index_of[change - 1] = index = new.allocate(old.allocations[change - 1])
        if change - 1 in run.kinds:
            kinds[index] = run.kinds[change - 1]
    _release(new, releases)
    for _, name in marks:
        new.mark(name)
    return Run(new, kinds)


def _release(timeline: Timeline, indexes: list[int]) -> None:
    for index in sorted(indexes):
        timeline.release(index)
    indexes.clear()


@frozen
class Event:
    """An allocation, a release, or a mark.

    `line` gives the layer of an allocation whose path has one, and for a release the place of the allocation that it
    frees. `module` is the path before and after the layer, `size` the bytes where they grow with the layers. `origin`
    is the index of the allocation of the smallest timeline that an allocation repeats.
    """

    line: Line
    size: Line | None = None
    made: Allocation | None = None
    kind: Category | None = None
    module: tuple[str, str] | None = None
    mark: str | None = None
    origin: int | None = None


class Stream:
    """A timeline in a form in which layers are alike: `tokens` identify events without their layers and places.

    `values` are the layer of an allocation, the place of the allocation that a release frees, else 0; `sizes` are the
    bytes of allocations. The streams that are compared share `names`; `common` is what is allocated in all of them,
    and the sizes of other allocations grow.
    """

    def __init__(self, run: Run, names: dict[object, int], common: AbstractSet[object]) -> None:
        self.tokens: list[int] = []
        self.values: list[int] = []
        self.sizes: list[int] = []
        self._events: list[Event] = []
        self._names = names
        self._common = common
        self._places: list[tuple[int, int]] = []
        timeline = run.timeline
        marks = iter([*timeline.marks, (len(timeline.events) + 1, "")])
        upcoming, name = next(marks)
        for number, change in enumerate(timeline.events):
            while upcoming <= number:
                self._add(("mark", name), 0, Event((0, 0, 0), mark=name))
                upcoming, name = next(marks)
            if change > 0:
                self._allocation(timeline.allocations[change - 1], run.kinds.get(change - 1))
            else:
                place, token = self._places[-change - 1]
                self._add(("release", token), place, Event((0, 0, 0)))
        for at, last in timeline.marks:
            if at >= len(timeline.events):
                self._add(("mark", last), 0, Event((0, 0, 0), mark=last))

    def event(self, place: int, line: Line, size: Line) -> Event:
        """The event at a place, with lines for its value and its bytes."""
        grows = size[1:] != (0, 0)
        return replace(self._events[place], line=line, size=size if grows else None)

    def made_at(self) -> dict[int, int]:
        """The index of each allocation, by the place of its event."""
        return {place: index for index, (place, _) in enumerate(self._places)}

    def _allocation(self, made: Allocation, kind: Category | None) -> None:
        described = _description(made, kind)
        if described not in self._common:
            described = (None, *described[1:])
        split = _LAYER.fullmatch(made.module)
        module = (split[1], split[3]) if split else None
        self._add(described, int(split[2]) if split else 0, Event((0, 0, 0), None, made, kind, module))
        self.sizes[-1] = made.bytes
        self._places.append((len(self.tokens) - 1, self.tokens[-1]))

    def _add(self, described: object, value: int, event: Event) -> None:
        self.tokens.append(self._names.setdefault(described, len(self._names)))
        self.values.append(value)
        self.sizes.append(0)
        self._events.append(event)


def streams(runs: Sequence[Run]) -> tuple[Stream, ...]:
    """Runs in a form in which they can be compared."""
    common = set.intersection(*map(_descriptions, runs))
    names: dict[object, int] = {}
    return tuple(Stream(run, names, common) for run in runs)


def _descriptions(run: Run) -> set[object]:
    return {_description(made, run.kinds.get(index)) for index, made in enumerate(run.timeline.allocations)}


def _description(made: Allocation, kind: Category | None) -> tuple[object, ...]:
    """A description of an allocation that is the same for all layers; its bytes come first."""
    split = _LAYER.fullmatch(made.module)
    module = (split[1], split[3]) if split else made.module
    return made.bytes, made.operation, module, made.stage, made.scratch, made.stream, kind


class Writer:
    """Writes events to a timeline with so many further periods; `lost` says that a release found no allocation.

    `origins` are the allocations' origins, None for sizes that grow with the periods.
    """

    def __init__(self, periods: int) -> None:
        self.timeline = Timeline()
        self.lost = False
        self.origins: list[int | None] = []
        self._kinds: dict[int, Category] = {}
        self._periods = periods
        self._place = 0
        self._index_at: dict[int, int] = {}
        self._named: dict[tuple[int, int, int], Allocation] = {}

    @property
    def run(self) -> Run:
        """The run that was written."""
        return Run(self.timeline, self._kinds)

    def write(self, events: Iterable[Event], copy: int) -> None:
        """Writes events of a copy."""
        for event in events:
            value = self._at(event.line, copy)
            if event.made is not None:
                self._allocate(event, event.made, value, copy)
            elif event.mark is not None:
                self.timeline.mark(event.mark)
            else:
                index = self._index_at.pop(value, None)
                if index is None:
                    self.lost = True
                    return
                self.timeline.release(index)
            self._place += 1

    def _at(self, line: Line, copy: int) -> int:
        return line[0] + self._periods * line[1] + copy * line[2]

    def _allocate(self, event: Event, made: Allocation, layer: int, copy: int) -> None:
        size = made.bytes if event.size is None else self._at(event.size, copy)
        if event.module is not None or event.size is not None:
            key = id(made), layer, size
            if key not in self._named:
                path = made.module if event.module is None else f"{event.module[0]}{layer}{event.module[1]}"
                self._named[key] = replace(made, module=path, bytes=size)
            made = self._named[key]
        index = self.timeline.allocate(made)
        self.origins.append(event.origin if event.size is None else None)
        self._index_at[self._place] = index
        if event.kind is not None:
            self._kinds[index] = event.kind
