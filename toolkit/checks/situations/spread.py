"""The verdict on a claim over all settings, the boundary where it turns, and the YAML that would settle it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import product

from toolkit.checks.judgement import Verdict
from toolkit.checks.situations.space import Choice, SettingSpace, Side
from toolkit.checks.situations.survey import Survey, last_that_holds, probes, survey
from toolkit.frozen import frozen
from toolkit.quantity.interval import Interval
from toolkit.spec.fields.value import Range

MAX_TRIES = 64
"""The most settings that are tried to find out whether a field may be left out of the boundary."""


@frozen
class Spread:
    """The verdict over all settings, the boundary in words, and the YAML that would settle it.

    `turns` are the two nearest choices that were tried of which the claim holds at the first and fails at the second.
    """

    verdict: Verdict
    boundary: str | None = None
    repair: str | None = None
    turns: tuple[Choice, Choice] | None = None


def side_of(claimed: Iterable[Interval], truth: Interval) -> Side:
    """On which side of a claim the truth lies: it meets one of the intervals, lies below all, or else above."""
    intervals = list(claimed)
    if any(interval.meets(truth) for interval in intervals):
        return Side.HOLDS
    lows = [interval.low for interval in intervals if interval.low is not None]
    below = truth.high is not None and bool(lows) and truth.high < min(lows)
    return Side.BELOW if below else Side.ABOVE


def over_settings(
    space: SettingSpace, fields: Iterable[str], side_at: Callable[[Choice], Side], *, grows: bool = True
) -> tuple[Spread, Survey]:
    """The verdict over every setting that the named open fields span; `survey` says what it rests on."""
    found = survey(space, fields, side_at, grows=grows)
    if not found.fails:
        return Spread(Verdict.AGREES), found
    if not found.holds:
        return Spread(Verdict.DISAGREES), found
    turn = _turn(space, found, side_at)
    boundary = turn.words + _context(space, found, turn, side_at)
    return Spread(Verdict.DEPENDS, boundary, _settling(space, found, side_at), turn.nearest), found


@frozen
class _Turn:
    """The boundary between true and false in words, and the choices on either side that the words mention."""

    words: str
    said: frozenset[str]
    true: tuple[Choice, ...]
    false: tuple[Choice, ...]

    @property
    def nearest(self) -> tuple[Choice, Choice]:
        """The nearest pair of a true and a false choice."""
        return min(product(self.true, self.false), key=lambda pair: _distance(pair[0], pair[1], self.said))


def _turn(space: SettingSpace, found: Survey, side_at: Callable[[Choice], Side]) -> _Turn:
    """The nearest pair of a setting that holds and one that does not, and what tells them apart."""
    held, failed = found.holds, found.fails
    for name in _by_weight(space, found):
        beside = {_without(name, choice): choice for choice in reversed(failed)}
        for holds in held:
            if fails := beside.get(_without(name, holds)):
                return _turn_of(space, name, holds, fails, side_at)
    holds, fails = held[0], failed[0]
    differing = _differ(holds, fails)
    true, false = (", ".join(f"{name} {shown(choice[name])}" for name in differing) for choice in (holds, fails))
    return _Turn(f"true with {true}; false with {false}", frozenset(differing), (holds,), (fails,))


def _by_weight(space: SettingSpace, found: Survey) -> list[str]:
    """The open fields: first those that alone separate true from false, then ranges, then the rest."""
    names = list(found.choices[0][0])

    def rank(name: str) -> tuple[bool, bool]:
        return (not _separates(found, name), not isinstance(space.options[name], Range))

    return sorted(names, key=rank)


def _separates(found: Survey, name: str) -> bool:
    sides: dict[object, set[bool]] = {}
    for choice, side in found.choices:
        sides.setdefault(choice[name], set()).add(side is Side.HOLDS)
    return all(len(outcomes) == 1 for outcomes in sides.values())


def _distance(first: Choice, second: Choice, names: Iterable[str]) -> int:
    """The distance of two choices: the difference of whole numbers, and 1 for any other field that differs."""
    pairs = [(first[name], second[name]) for name in names]
    return sum(abs(one - two) if isinstance(one, int) and isinstance(two, int) else one != two for one, two in pairs)


def _differ(first: Choice, second: Choice) -> list[str]:
    return [name for name in first if first[name] != second[name]]


def _turn_of(space: SettingSpace, name: str, holds: Choice, fails: Choice, side_at: Callable[[Choice], Side]) -> _Turn:
    """The boundary along one field; a claim that holds in the middle of a range alone has two."""
    start, end, options = holds[name], fails[name], space.options[name]
    if not (isinstance(options, Range) and isinstance(start, int) and isinstance(end, int)):
        words = f"true with {name} {shown(start)}, false with {name} {shown(end)}"
        return _Turn(words, frozenset({name}), (holds,), (fails,))
    last = last_that_holds(start, end, holds, name, side_at)
    other = options.low if start < end else options.high
    first = other
    if side_at({**holds, name: other}) is not Side.HOLDS:
        first = last_that_holds(start, other, holds, name, side_at)
    low, high = min(first, last), max(first, last)
    true, false = (
        [low, high],
        [number for number in (low - 1, high + 1) if options.low <= number <= options.high],
    )
    if len(false) > 1:
        middle = f"from {name} {low} to {high}" if low < high else f"with {name} {low}"
        words = f"true {middle}, false up to {low - 1} and from {high + 1}"
    elif high < options.high:
        words = f"true up to {name} {high}, false from {high + 1}"
    else:
        words = f"true from {name} {low}, false up to {low - 1}"
    return _Turn(
        words,
        frozenset({name}),
        tuple({**holds, name: number} for number in true),
        tuple({**holds, name: number} for number in false),
    )


def _context(space: SettingSpace, found: Survey, turn: _Turn, side_at: Callable[[Choice], Side]) -> str:
    """The other open fields that the boundary depends on, with their values, as the end of the sentence."""

    def free(names: Sequence[str]) -> bool:
        return _stays(turn, list(probes(space, names, grows=found.grows)), side_at)

    at = turn.true[0]
    rest = [name for name in at if name not in turn.said]
    others = [name for name in rest if _matters(found, name) or not free([name])]
    if not free([name for name in rest if name not in others]):
        others = rest
    return f" (at {', '.join(f'{name} {shown(at[name])}' for name in others)})" if others else ""


def _stays(turn: _Turn, others: Sequence[Choice], side_at: Callable[[Choice], Side]) -> bool:
    """Whether the boundary is the same at all these other choices; False where there are too many to try."""
    if len(others) * (len(turn.true) + len(turn.false)) > MAX_TRIES:
        return False

    def sides(choice: Choice) -> set[Side]:
        return {side_at({**choice, **other}) for other in others}

    holds = all(sides(choice) == {Side.HOLDS} for choice in turn.true)
    return holds and all(sides(choice) in ({Side.BELOW}, {Side.ABOVE}) for choice in turn.false)


def _matters(found: Survey, name: str) -> bool:
    """Whether changing this field alone changes the side of any choice that was tried."""
    outcomes: dict[tuple[object, ...], bool] = {}
    for choice, side in found.choices:
        holds = side is Side.HOLDS
        if outcomes.setdefault(_without(name, choice), holds) is not holds:
            return True
    return False


def _without(name: str, choice: Choice) -> tuple[object, ...]:
    """The values of all fields but one: a key that choices share which differ in that field alone."""
    return tuple(value for other, value in choice.items() if other != name)


def _settling(space: SettingSpace, found: Survey, side_at: Callable[[Choice], Side]) -> str:
    """YAML with as few fields as make the claim true once they are stated: `batch_size: 1`, or a mapping."""
    names = list(found.choices[0][0])
    needed = dict(found.holds[0])
    for name in names:
        rest = {other: value for other, value in needed.items() if other != name}
        if rest and _holds_with(space, found, names, rest, side_at):
            needed = rest
    return yaml_line(needed)


def _holds_with(
    space: SettingSpace,
    found: Survey,
    names: Iterable[str],
    pinned: Mapping[str, object],
    side_at: Callable[[Choice], Side],
) -> bool:
    """Whether the claim holds at every extreme of the other fields with these pinned."""
    others = [name for name in names if name not in pinned]
    return all(
        side_at({name: {**extreme, **pinned}[name] for name in names}) is Side.HOLDS
        for extreme in probes(space, others, grows=found.grows)
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
    """The value of a field in YAML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]"
    return "null" if value is None else str(value)
