"""Search for the largest whole number at which a condition holds that changes once between known turns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

WINDOW = 4
"""The number of values beyond the last that holds that are tried one by one."""

Holds = Callable[[int], bool]


def stretches(most: int, turns: Iterable[int]) -> Iterator[tuple[int, int]]:
    """The first and the last value of each stretch, from 1 to `most`, cut before every turn."""
    starts = sorted({1, *(turn for turn in turns if 1 < turn <= most)})
    for first, after in zip(starts, [*starts[1:], most + 1], strict=True):
        yield first, after - 1


def last_of_all(holds: Holds, most: int, turns: Iterable[int]) -> int | None:
    """The largest value from 1 to `most` that holds, whether or not those below it do; None where none does."""
    found = [last for first, end in stretches(most, turns) if (last := _last(holds, first, end)) is not None]
    return max(found) if found else None


def last_without_gap(holds: Holds, most: int, turns: Iterable[int]) -> int | None:
    """The largest value that holds together with all below it; None where not even 1 does."""
    reached = None
    for first, end in stretches(most, turns):
        last = _last(holds, first, end)
        if last is None:
            return reached
        reached = last
        if last < end:
            return reached
    return reached


def _last(holds: Holds, first: int, end: int) -> int | None:
    """The last value that holds of a stretch in which the condition turns from true to false at most once."""
    if first > end or not holds(first):
        return None
    low, step = first, 1
    while low < end:
        high = min(low + step, end)
        if not holds(high):
            break
        low, step = high, 2 * step
    else:
        return end
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return _beyond(holds, low, end)


def _beyond(holds: Holds, last: int, end: int) -> int:
    """The last value that holds, after trying the next few, in case the condition turns more than once."""
    tried = last + 1
    while tried <= min(last + WINDOW, end):
        if holds(tried):
            last = tried
        tried += 1
    return last
