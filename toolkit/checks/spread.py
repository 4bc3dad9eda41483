"""From what a document claims and what is known at each setting to a verdict, its boundary and the line that settles it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from toolkit.checks.judgement import Verdict
from toolkit.checks.space import Choice, SettingSpace, Side, Survey, last_that_holds, survey
from toolkit.quantity.interval import Interval
from toolkit.spec.field_value import Range


@dataclass(frozen=True, slots=True)
class Spread:
    """The verdict over all settings, where it turns, and the YAML that would settle it."""

    verdict: Verdict
    boundary: str | None = None
    repair: str | None = None


def side_of(claimed: Iterable[Interval], truth: Interval) -> Side:
    """Where the truth lies beside a claim of one or more readings: it meets one, or lies below or above all it misses."""
    intervals = list(claimed)
    if any(interval.meets(truth) for interval in intervals):
        return Side.HOLDS
    lows = [interval.low for interval in intervals if interval.low is not None]
    below = truth.high is not None and bool(lows) and truth.high < min(lows)
    return Side.BELOW if below else Side.ABOVE


def over_settings(
    space: SettingSpace, fields: Iterable[str], side_at: Callable[[Choice], Side]
) -> tuple[Spread, Survey]:
    """The verdict over every setting that the named open fields span."""
    found = survey(space, fields, side_at)
    if not found.fails:
        return Spread(Verdict.AGREES), found
    if not found.holds:
        return Spread(Verdict.DISAGREES), found
    return Spread(Verdict.DEPENDS, _boundary(space, found, side_at), _settling(space, found, side_at)), found


def _boundary(space: SettingSpace, found: Survey, side_at: Callable[[Choice], Side]) -> str:
    """The nearest pair of a setting that holds and one that does not, and what tells them apart."""
    for name in _by_weight(space, found):
        for holds in found.holds:
            for fails in found.fails:
                if _differ(holds, fails) == [name]:
                    return _turn(space, name, holds, fails, side_at) + _context(holds, found, {name})
    holds, fails = found.holds[0], found.fails[0]
    differing = _differ(holds, fails)
    true, false = (", ".join(f"{name} {shown(choice[name])}" for name in differing) for choice in (holds, fails))
    return f"true with {true}; false with {false}" + _context(holds, found, set(differing))


def _by_weight(space: SettingSpace, found: Survey) -> list[str]:
    """The open fields, those first that alone tell true from false, then ranges, then the rest."""
    names = list(found.choices[0][0])

    def rank(name: str) -> tuple[bool, bool]:
        return (not _separates(found, name), not isinstance(space.options[name], Range))

    return sorted(names, key=rank)


def _separates(found: Survey, name: str) -> bool:
    sides: dict[object, set[bool]] = {}
    for choice, side in found.choices:
        sides.setdefault(choice[name], set()).add(side is Side.HOLDS)
    return all(len(outcomes) == 1 for outcomes in sides.values())


def _differ(first: Choice, second: Choice) -> list[str]:
    return [name for name in first if first[name] != second[name]]


def _turn(space: SettingSpace, name: str, holds: Choice, fails: Choice, side_at: Callable[[Choice], Side]) -> str:
    start, end = holds[name], fails[name]
    if not (isinstance(space.options[name], Range) and isinstance(start, int) and isinstance(end, int)):
        return f"true with {name} {shown(start)}, false with {name} {shown(end)}"
    last = last_that_holds(start, end, holds, name, side_at)
    if start < end:
        return f"true up to {name} {last}, false from {last + 1}"
    return f"true from {name} {last}, false up to {last - 1}"


def _context(choice: Choice, found: Survey, said: set[str]) -> str:
    """The other open fields on which the answer turns somewhere, with their values here."""
    others = [name for name in choice if name not in said and _matters(found, name)]
    return f" (at {', '.join(f'{name} {shown(choice[name])}' for name in others)})" if others else ""


def _matters(found: Survey, name: str) -> bool:
    """Whether changing this field alone changes the answer anywhere."""
    outcomes: dict[tuple[tuple[str, object], ...], bool] = {}
    for choice, side in found.choices:
        rest = tuple((other, value) for other, value in choice.items() if other != name)
        if outcomes.setdefault(rest, side is Side.HOLDS) != (side is Side.HOLDS):
            return True
    return False


def _settling(space: SettingSpace, found: Survey, side_at: Callable[[Choice], Side]) -> str:
    """The fewest fields that, once stated, make the claim true: `batch_size: 1`, or several in one mapping."""
    names = list(found.choices[0][0])
    needed = dict(found.holds[0])
    for name in names:
        rest = {other: value for other, value in needed.items() if other != name}
        if rest and _holds_with(space, names, rest, side_at):
            needed = rest
    return yaml_line(needed)


def _holds_with(
    space: SettingSpace, names: Iterable[str], pinned: Mapping[str, object], side_at: Callable[[Choice], Side]
) -> bool:
    """Whether the claim holds at every extreme of the other fields while these are pinned."""
    others = [name for name in names if name not in pinned]
    return all(
        side_at({name: {**extreme, **pinned}[name] for name in names}) is Side.HOLDS for extreme in space.extremes(others)
    )


def yaml_line(fields: Mapping[str, object]) -> str:
    """Fields as one line of YAML; those of a group in its mapping ("lora: {rank: 8}")."""
    groups: dict[str, dict[str, object]] = {}
    flat: dict[str, object] = {}
    for name, value in fields.items():
        group, _, inner = name.partition(".")
        if inner:
            groups.setdefault(group, {})[inner] = value
        else:
            flat[name] = value
    parts = [f"{name}: {shown(value)}" for name, value in flat.items()]
    for group, inner_fields in groups.items():
        inside = ", ".join(f"{name}: {shown(value)}" for name, value in inner_fields.items())
        parts.append(f"{group}: {{{inside}}}")
    return parts[0] if len(parts) == 1 else f"{{{', '.join(parts)}}}"


def shown(value: object) -> str:
    """A value of a field as YAML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]"
    return "null" if value is None else str(value)
