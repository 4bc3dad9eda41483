"""The search through the settings of a scenario for where a claim holds and where it fails."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby, islice, product

from toolkit.checks.situations.space import Choice, SettingSpace, Side
from toolkit.frozen import frozen

MAX_ROWS = 128
"""The most combinations of ranges that are searched before a claim is said to hold nowhere."""


@frozen
class Survey:
    """The side on which evidence lies, at every choice tried. `grows`: evidence falls along no range."""

    sides: Mapping[tuple[tuple[str, object], ...], Side]
    grows: bool = True

    @property
    def choices(self) -> list[tuple[Choice, Side]]:
        """The choices tried, in order, each with its side."""
        return [(dict(key), side) for key, side in self.sides.items()]

    @property
    def holds(self) -> list[Choice]:
        """The choices at which the claim holds."""
        return [choice for choice, side in self.choices if side is Side.HOLDS]

    @property
    def fails(self) -> list[Choice]:
        """The choices at which it fails."""
        return [choice for choice, side in self.choices if side is not Side.HOLDS]


def survey(
    space: SettingSpace, fields: Iterable[str], side_at: Callable[[Choice], Side], *, grows: bool = True
) -> Survey:
    """Tries every extreme, and searches between two where evidence lies below at one and above at the other.

    Evidence has to be monotone along each range, and the claim one interval. Then a claim that holds at the extremes
    holds everywhere. If it holds anywhere, such a choice is found as long as all ranges but the longest span at most
    `MAX_ROWS` combinations (beyond that, as long as one step of the longest is finer than the claim). `grows` says that
    evidence falls along no range; otherwise every corner is tried as an extreme.
    """
    extremes = list(probes(space, fields, grows=grows))
    groups = [list(group) for _, group in groupby(extremes, lambda choice: _without_ranges(space, choice))]
    sides = {_key(choice): side_at(choice) for choice in extremes}
    for group in groups:
        if len({sides[_key(choice)] for choice in group}) > 1:
            # The claim turns along some range: the mixed corners show along which.
            sides.update({_key(corner): side_at(corner) for corner in space.corners(group[0])})
            if found := _between_any(space, group, sides, side_at, _between):
                sides[_key(found)] = Side.HOLDS
            break
    if Side.HOLDS not in sides.values():
        for look in (_between, _row_by_row):
            founds = (_between_any(space, group, sides, side_at, look) for group in groups)
            if found := next((choice for choice in founds if choice), None):
                sides[_key(found)] = Side.HOLDS
                break
    return Survey(sides, grows)


def probes(space: SettingSpace, fields: Iterable[str], *, grows: bool) -> Iterator[Choice]:
    """The choices between which all others lie: extremes, or every corner where evidence may fall."""
    seen: set[tuple[tuple[str, object], ...]] = set()
    for extreme in space.extremes(fields):
        for choice in (extreme,) if grows else space.corners(extreme):
            if _key(choice) not in seen:
                seen.add(_key(choice))
                yield choice


def _key(choice: Choice) -> tuple[tuple[str, object], ...]:
    return tuple(choice.items())


def _without_ranges(space: SettingSpace, choice: Choice) -> list[object]:
    ranges = set(space.ranges(choice))
    return [value for name, value in choice.items() if name not in ranges]


Look = Callable[[Choice, Choice, Sequence[str], Callable[[Choice], Side]], Choice | None]


def _between_any(
    space: SettingSpace,
    group: Sequence[Choice],
    sides: Mapping[tuple[tuple[str, object], ...], Side],
    side_at: Callable[[Choice], Side],
    look: Look,
) -> Choice | None:
    """A choice that holds, between two extremes on opposite sides that differ in ranges alone."""
    below = [choice for choice in group if sides[_key(choice)] is Side.BELOW]
    above = [choice for choice in group if sides[_key(choice)] is Side.ABOVE]
    ranges = space.ranges(group[0])
    return next((found for low, high in product(below, above) if (found := look(low, high, ranges, side_at))), None)


def _between(low: Choice, high: Choice, ranges: Sequence[str], side_at: Callable[[Choice], Side]) -> Choice | None:
    """A choice between the two at which the claim holds, found by moving one range after the other.

    A step of the first range may jump over the claim; the next range then fills the gap.
    """
    current = dict(low)
    for name in ranges:
        if side_at({**current, name: high[name]}) is Side.BELOW:
            current[name] = high[name]
            continue
        last_below, found = _crossing(current, name, _whole(high[name]), side_at)
        if found is not None:
            return {**current, name: found}
        current[name] = last_below
    return None


def _row_by_row(low: Choice, high: Choice, ranges: Sequence[str], side_at: Callable[[Choice], Side]) -> Choice | None:
    """The same, for every combination of all ranges but the longest: slow, but complete."""
    lengths = {name: abs(_whole(high[name]) - _whole(low[name])) + 1 for name in ranges}
    longest = max(ranges, key=lambda name: lengths[name])
    spans = [_span(_whole(low[name]), _whole(high[name])) for name in ranges if name != longest]
    others = [name for name in ranges if name != longest]
    for values in islice(product(*spans), MAX_ROWS):
        row = {**low, **dict(zip(others, values, strict=True))}
        first, last = side_at(row), side_at({**row, longest: high[longest]})
        if first is Side.HOLDS:
            return row
        if first is Side.BELOW and last is not Side.BELOW:
            _, found = _crossing(row, longest, _whole(high[longest]), side_at)
            if found is not None:
                return {**row, longest: found}
    return None


def _crossing(choice: Choice, name: str, end: int, side_at: Callable[[Choice], Side]) -> tuple[int, int | None]:
    """The last value before `end` at which evidence lies below the claim, and one that holds, if any."""
    lower, upper = _whole(choice[name]), end
    if side_at({**choice, name: upper}) is Side.HOLDS:
        return lower, upper
    while abs(upper - lower) > 1:
        middle = (lower + upper) // 2
        side = side_at({**choice, name: middle})
        if side is Side.HOLDS:
            return lower, middle
        lower, upper = (middle, upper) if side is Side.BELOW else (lower, middle)
    return lower, None


def _whole(value: object) -> int:
    assert isinstance(value, int)
    return value


def _span(start: int, end: int) -> range:
    return range(start, end + 1) if start <= end else range(start, end - 1, -1)


def last_that_holds(start: int, end: int, choice: Choice, name: str, side_at: Callable[[Choice], Side]) -> int:
    """The last value from `start`, which holds, towards `end`, which does not."""
    holds, fails = start, end
    while abs(fails - holds) > 1:
        middle = (holds + fails) // 2
        if side_at({**choice, name: middle}) is Side.HOLDS:
            holds = middle
        else:
            fails = middle
    return holds
