"""How a timeline grows with the layers of its model: learned from a few layer counts, and written out for any other.

With one more period of layers, every stretch of events that a layer causes (its weights, its forward pass, its backward
pass, its optimizer states) occurs once more. The events of the smaller timeline stay as they are, with further copies
of such stretches between them. The allocation that a release frees, and the layer that an allocation names, are then
linear in the number of further periods and in the number of the copy.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from toolkit.frozen import frozen
from toolkit.memory.timeline.stream import Event, Line, Run, Stream, Writer, streams

__all__ = ["NoPatternError", "Pattern", "insertions", "learn"]

Insertion = tuple[int, int, int]
"""The event of the shorter sequence before it, its first event in the longer one, and how many events it has."""


class NoPatternError(Exception):
    """The timelines do not grow as this module expects; the message says where."""


@frozen
class Repeat:
    """Events that every further period inserts before event `at` of the smaller timeline."""

    at: int
    events: tuple[Event, ...]


@frozen
class Pattern:
    """The events of the smaller timeline, and those that further periods add."""

    fixed: tuple[Event, ...]
    repeats: tuple[Repeat, ...]

    def run(self, periods: int) -> Run:
        """The timeline with so many further periods. Raises NoPatternError if a release finds no allocation."""
        return self.written(periods)[0]

    def written(self, periods: int) -> tuple[Run, list[int | None]]:
        """The same, with the allocation of the smallest timeline that each one repeats; None where its size grows."""
        writer = Writer(periods)
        done = 0
        for repeat in self.repeats:
            writer.write(self.fixed[done : repeat.at], 0)
            for copy in range(periods):
                writer.write(repeat.events, copy)
            done = repeat.at
        writer.write(self.fixed[done:], 0)
        if writer.lost:
            raise NoPatternError("a release of the extrapolated timeline finds nothing to release")
        return writer.run, writer.origins


def learn(runs: Sequence[Run]) -> Pattern:
    """The pattern of three timelines, each with one period more than the one before. Raises NoPatternError."""
    first, second, third = streams(runs)
    inserted = insertions(first.tokens, second.tokens)
    if _with_two(first, second, inserted) != third.tokens:
        raise NoPatternError("two further periods do not add twice what one adds")
    made_at = first.made_at()
    fixed = []
    for place, shift in enumerate(_shifts(inserted, len(first.tokens))):
        line, size = (
            _line(one[place], two[place + shift], three[place + 2 * shift])
            for one, two, three in (
                (first.values, second.values, third.values),
                (first.sizes, second.sizes, third.sizes),
            )
        )
        fixed.append(replace(first.event(place, line, size), origin=made_at.get(place)))
    repeated = _origins(inserted, second.tokens)
    repeats = []
    for (at, start, length), shift in zip(inserted, _before(inserted), strict=True):
        events = (
            replace(_repeated(second, third, place, place + shift, length), origin=made_at.get(repeated[place]))
            for place in range(start, start + length)
        )
        repeats.append(Repeat(at, tuple(events)))
    return Pattern(tuple(fixed), tuple(repeats))


def _origins(inserted: Sequence[Insertion], tokens: Sequence[int]) -> list[int]:
    """For each event of the longer sequence, the event of the shorter one that it is or repeats.

    An insertion repeats the events before it, or those after it as far as it was moved back.
    """
    lengths = {place: size for _, start, size in inserted for place in range(start, start + size)}
    fixed = {place: number for number, place in enumerate(at for at in range(len(tokens)) if at not in lengths)}
    origins: list[int] = []
    for place in range(len(tokens)):
        at = place
        while at not in fixed:
            before = at - lengths[at]
            at = before if tokens[before] == tokens[at] and before >= 0 and at <= place else at + lengths[at]
        origins.append(fixed[at])
    return origins


def _line(none: int, one: int, two: int) -> Line:
    """The line through the values with no, one and two further periods."""
    if two - one != one - none:
        raise NoPatternError("what a release releases, or what an allocation takes, does not grow evenly")
    return none, one - none, 0


def _repeated(second: Stream, third: Stream, place: int, later: int, length: int) -> Event:
    """An inserted event, from its place with one period inserted and with two (the first copy of the two)."""
    lines = []
    for two, three in ((second.values, third.values), (second.sizes, third.sizes)):
        each_period = three[later] - two[place]
        lines.append((two[place] - each_period, each_period, three[later + length] - three[later]))
    return second.event(place, *lines)


def _before(inserted: Sequence[Insertion]) -> Iterator[int]:
    """For each insertion, how many events were inserted before it."""
    total = 0
    for _, _, length in inserted:
        yield total
        total += length


def _with_two(first: Stream, second: Stream, inserted: Sequence[Insertion]) -> list[int]:
    tokens: list[int] = []
    done = 0
    for at, start, length in inserted:
        tokens += first.tokens[done:at] + 2 * second.tokens[start : start + length]
        done = at
    return tokens + first.tokens[done:]


def _shifts(inserted: Sequence[Insertion], length: int) -> Iterator[int]:
    """For each event of the shortest sequence, how many events one period inserts before it."""
    waiting = list(inserted)
    shift = 0
    for place in range(length):
        while waiting and waiting[0][0] <= place:
            shift += waiting.pop(0)[2]
        yield shift


def insertions(short: Sequence[int], long: Sequence[int]) -> list[Insertion]:
    """The insertions that make a sequence into a longer one; each must repeat the events right before it.

    Raises NoPatternError where there are none.
    """
    found: list[Insertion] = []
    at = start = 0
    while True:
        same = _alike(short, at, long, start)
        at, start = at + same, start + same
        if at == len(short) and start == len(long):
            return found
        length = _length(short, at, long, start)
        back = _slack(long, start, length) // 2
        found.append((at - back, start - back, length))
        start += length


def _length(short: Sequence[int], at: int, long: Sequence[int], start: int) -> int:
    """How many events are inserted here: the length that repeats the events before it and then matches furthest."""
    if at == len(short):
        lengths = [len(long) - start]
    else:
        lengths = [place - start for place in range(start + 1, len(long)) if long[place] == short[at]]
    lengths = [length for length in lengths if _repeats(long, start, length) and start - length >= 0 <= at - length]
    if not lengths:
        raise NoPatternError(f"event {at:,} of {len(short):,} is not followed by a further layer's")
    return max(lengths, key=lambda length: (_alike(short, at, long, start + length), -length))


def _slack(long: Sequence[int], start: int, length: int) -> int:
    """How far back an insertion could be moved. In the middle it is furthest from first and last layers."""
    back = 0
    while start - back - length > 0 and long[start - back - 1] == long[start - back + length - 1]:
        back += 1
    return back


def _repeats(events: Sequence[int], start: int, length: int) -> bool:
    return (
        events[start - 1] == events[start + length - 1]
        and events[start - length : start] == events[start : start + length]
    )


def _alike(first: Sequence[int], at: int, second: Sequence[int], start: int) -> int:
    """How many events two sequences have in common, each from its own place on."""
    most = min(len(first) - at, len(second) - start)
    low = 0
    while low < most:  # whole slices compare faster than single events
        step = min(256, most - low)
        if first[at + low : at + low + step] != second[start + low : start + low + step]:
            break
        low += step
    while low < most and first[at + low] == second[start + low]:
        low += 1
    return low
