"""The settings that a scenario leaves open, and the extremes between which all others lie."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import product
from math import prod

from toolkit.spec.fields.value import Range
from toolkit.spec.settings.setting import Setting

Choice = Mapping[str, object]
Options = tuple[object, ...] | Range
MAX_SAMPLES = 4_096


class Side(IntEnum):
    """Where the evidence lies at a setting: it meets the claim, or lies below or above it."""

    BELOW = -1
    HOLDS = 0
    ABOVE = 1


class TooManySettingsError(ValueError):
    """The open fields span too many settings to try; the scenario has to say more."""


@dataclass(slots=True)
class SettingSpace:
    """The open fields of a scenario, and the function that makes a setting of a choice for each.

    `options` maps each open field to its values, or to a range of whole numbers. Each setting is made once.
    """

    options: Mapping[str, Options]
    decide: Callable[[Choice], Setting]
    _settings: dict[tuple[object, ...], Setting] = field(default_factory=dict)
    _first: list[tuple[str, object]] = field(init=False)

    def __post_init__(self) -> None:
        self._first = [(name, _first(options)) for name, options in self.options.items()]

    def setting(self, choice: Choice) -> Setting:
        """The setting for a choice; open fields that the choice leaves out take their first value."""
        key = self.key(choice)
        if key not in self._settings:
            self._settings[key] = self.decide(dict(zip(self.options, key, strict=True)))
        return self._settings[key]

    def key(self, choice: Choice) -> tuple[object, ...]:
        """The value of every open field at a choice, in order."""
        return tuple([choice.get(name, first) for name, first in self._first])

    def extremes(self, fields: Iterable[str]) -> Iterator[Choice]:
        """Every combination of the values of the named open fields, with all ranges at one end.

        What grows along every range lies between these. Raises TooManySettingsError.
        """
        names = [name for name in self.options if name in set(fields)]
        ranges = {name: options for name in names if isinstance(options := self.options[name], Range)}
        values = {name: options for name in names if isinstance(options := self.options[name], tuple)}
        count = prod(len(options) for options in values.values())
        if count > MAX_SAMPLES:
            raise TooManySettingsError(f"{', '.join(values)} leave {count:,} settings open, more than {MAX_SAMPLES:,}")
        for chosen in product(*values.values()):
            fixed = dict(zip(values, chosen, strict=True))
            for low in (True, False) if ranges else (True,):
                ends = {name: span.low if low else span.high for name, span in ranges.items()}
                yield {name: ends[name] if name in ends else fixed[name] for name in names}

    def corners(self, choice: Choice) -> Iterator[Choice]:
        """A choice with each of its ranges at either end."""
        ends = {name: ends_of(self.options[name]) for name in self.ranges(choice)}
        for values in product(*ends.values()):
            yield {**choice, **dict(zip(ends, values, strict=True))}

    def ranges(self, choice: Choice) -> list[str]:
        """The fields of a choice that are ranges."""
        return [name for name in choice if isinstance(self.options[name], Range)]


def ends_of(options: Options) -> tuple[object, ...]:
    """Every option, or the ends of a range."""
    if isinstance(options, Range):
        return (options.low,) if options.low == options.high else (options.low, options.high)
    return options


def _first(options: Options) -> object:
    return options.low if isinstance(options, Range) else options[0]
