"""The settings that a scenario leaves open, and the search through them for where a claim turns from true to false."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import pairwise, product
from math import prod

from toolkit.spec.field_value import Range
from toolkit.spec.setting import Setting

Choice = Mapping[str, object]
Options = tuple[object, ...] | Range
MAX_SAMPLES = 4_096


class Side(IntEnum):
    """Where the evidence lies at a setting: it meets the claim, or lies below or above it."""

    BELOW = -1
    HOLDS = 0
    ABOVE = 1


class TooManySettings(ValueError):
    """The open fields span more settings than are worth trying; the scenario says too little."""


@dataclass(slots=True)
class SettingSpace:
    """What is open in a scenario, and how a choice for every open field becomes a setting.

    `options` maps each open field to its values, or to a range of whole numbers. Settings are made once for each choice.
    """

    options: Mapping[str, Options]
    decide: Callable[[Choice], Setting]
    _settings: dict[tuple[object, ...], Setting] = field(default_factory=dict)

    def setting(self, choice: Choice) -> Setting:
        """The setting for a choice; open fields that the choice leaves out take their first value."""
        key = self.key(choice)
        if key not in self._settings:
            self._settings[key] = self.decide(dict(zip(self.options, key, strict=True)))
        return self._settings[key]

    def key(self, choice: Choice) -> tuple[object, ...]:
        """The value of every open field at a choice, in order."""
        return tuple(choice.get(name, _first(options)) for name, options in self.options.items())

    def extremes(self, fields: Iterable[str]) -> Iterator[Choice]:
        """Every combination of the values of the named open fields, with all ranges at their low and at their high ends.

        Memory and counts grow along every range, so whatever lies between lies between these. Raises TooManySettings.
        """
        names = [name for name in self.options if name in set(fields)]
        ranges = {name: options for name in names if isinstance(options := self.options[name], Range)}
        values = {name: options for name in names if isinstance(options := self.options[name], tuple)}
        count = prod(len(options) for options in values.values())
        if count > MAX_SAMPLES:
            raise TooManySettings(f"{', '.join(values)} leave {count:,} settings open, more than {MAX_SAMPLES:,}")
        for chosen in product(*values.values()):
            fixed = dict(zip(values, chosen, strict=True))
            for low in (True, False) if ranges else (True,):
                ends = {name: span.low if low else span.high for name, span in ranges.items()}
                yield {name: ends[name] if name in ends else fixed[name] for name in names}

    def corners(self, choice: Choice) -> Iterator[Choice]:
        """A choice with each of its ranges at either end."""
        ends = {name: _ends(self.options[name]) for name in self.ranges(choice)}
        for values in product(*ends.values()):
            yield {**choice, **dict(zip(ends, values, strict=True))}

    def ranges(self, choice: Choice) -> list[str]:
        """The fields of a choice that are ranges."""
        return [name for name in choice if isinstance(self.options[name], Range)]


@dataclass(frozen=True, slots=True)
class Survey:
    """On which side the evidence lies, at every choice that was tried."""

    sides: Mapping[tuple[tuple[str, object], ...], Side]

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
        """The choices at which it does not."""
        return [choice for choice, side in self.choices if side is not Side.HOLDS]


def survey(space: SettingSpace, fields: Iterable[str], side_at: Callable[[Choice], Side]) -> Survey:
    """Tries every extreme; where evidence lies below at one and above at the other, looks between them."""
    extremes = list(space.extremes(fields))
    sides = {_key(choice): side_at(choice) for choice in extremes}
    for low, high in pairwise(extremes):
        ends = sides[_key(low)], sides[_key(high)]
        if ends[0] is not ends[1] and _alike_but_ranges(space, low, high):
            # What turns here turns along some range: the mixed corners show along which.
            sides.update({_key(corner): side_at(corner) for corner in space.corners(low)})
            if ends == (Side.BELOW, Side.ABOVE) and (found := _between(low, high, space.ranges(low), side_at)):
                sides[_key(found)] = Side.HOLDS
            break
    if Side.HOLDS not in sides.values():
        _look_between(space, extremes, sides, side_at)
    return Survey(sides)


def _look_between(
    space: SettingSpace,
    extremes: Sequence[Choice],
    sides: dict[tuple[tuple[str, object], ...], Side],
    side_at: Callable[[Choice], Side],
) -> None:
    """Adds the first choice found that holds between extremes on opposite sides."""
    for low, high in pairwise(extremes):
        opposed = (sides[_key(low)], sides[_key(high)]) == (Side.BELOW, Side.ABOVE)
        if opposed and _alike_but_ranges(space, low, high):
            found = _between(low, high, space.ranges(low), side_at)
            if found:
                sides[_key(found)] = Side.HOLDS
                return


def _key(choice: Choice) -> tuple[tuple[str, object], ...]:
    return tuple(choice.items())


def _alike_but_ranges(space: SettingSpace, low: Choice, high: Choice) -> bool:
    ranges = set(space.ranges(low))
    return bool(ranges) and all(low[name] == high[name] for name in low if name not in ranges)


def _between(
    low: Choice, high: Choice, ranges: Sequence[str], side_at: Callable[[Choice], Side]
) -> Choice | None:
    """A choice between the two at which the claim holds, moving one range after the other.

    Evidence is monotone along each range; the coarse first range may step over the claim, the next then fills the step.
    """
    current = dict(low)
    for name in ranges:
        start, end = current[name], high[name]
        assert isinstance(start, int)
        assert isinstance(end, int)
        lower, upper = start, end
        if side_at({**current, name: end}) is Side.BELOW:
            current[name] = end
            continue
        while abs(upper - lower) > 1:
            middle = (lower + upper) // 2
            side = side_at({**current, name: middle})
            if side is Side.HOLDS:
                return {**current, name: middle}
            lower, upper = (middle, upper) if side is Side.BELOW else (lower, middle)
        if side_at({**current, name: upper}) is Side.HOLDS:
            return {**current, name: upper}
        current[name] = lower
    return current if side_at(current) is Side.HOLDS else None


def last_that_holds(
    start: int, end: int, choice: Choice, name: str, side_at: Callable[[Choice], Side]
) -> int:
    """The last value from `start`, which holds, towards `end`, which does not."""
    holds, fails = start, end
    while abs(fails - holds) > 1:
        middle = (holds + fails) // 2
        if side_at({**choice, name: middle}) is Side.HOLDS:
            holds = middle
        else:
            fails = middle
    return holds


def _ends(options: Options) -> tuple[object, ...]:
    if isinstance(options, Range):
        return (options.low,) if options.low == options.high else (options.low, options.high)
    return options


def _first(options: Options) -> object:
    return options.low if isinstance(options, Range) else options[0]
