"""Stretches that are moved from the one before them, against stretches that are written."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from toolkit.memory.replay.events import Events
from toolkit.memory.replay.repeats import Repeats

MIB = 1 << 20


def _growing(stretches: list[int], *, repeats: bool) -> tuple[Events, int]:
    """A cache of some layers, each of which makes a larger block and lets go of the one before; and how many are moved.

    A stretch for each number of layers.
    """
    events = Events()
    there, moved, tokens = [events.allocate(MIB) for _ in range(4)], 0, Repeats(events)
    for number, layers in enumerate(stretches, 2):
        sizes = [number * MIB] * layers
        further = tokens.again(layers, sizes) if repeats else 0
        if further:
            moved += 1
            there[:layers] = [block + further for block in there[:layers]]
            continue
        start = events.mark()
        for layer in range(layers):
            old, there[layer] = there[layer], events.allocate(number * MIB)
            events.release(old)
        tokens.written(layers, sizes, start)
    events.release_all(there)
    return events, moved


@given(st.lists(st.integers(1, 4), max_size=20))
def test_a_stretch_is_the_same_whether_it_is_written_or_moved(stretches: list[int]) -> None:
    """Of as many layers as the one before, of more or of fewer."""
    one, _ = _growing(stretches, repeats=True)
    other, _ = _growing(stretches, repeats=False)
    assert (one.sizes, one.order) == (other.sizes, other.order)


def test_all_but_the_first_two_of_a_shape_are_moved() -> None:
    """The first lets go of blocks of before, and the second of those of the first."""
    assert _growing([3] * 10, repeats=True)[1] == 8
    assert _growing([3] * 5 + [2] * 5, repeats=True)[1] == 3 + 3


def test_nothing_is_moved_that_asks_for_other_sizes_than_it_says() -> None:
    events = Events()
    tokens = Repeats(events)
    for _ in range(4):
        assert not tokens.again("shape", [MIB])
        start = events.mark()
        events.release(events.allocate(2 * MIB))
        tokens.written("shape", [MIB], start)


def test_nothing_is_moved_that_lets_go_of_what_is_older_than_both() -> None:
    events = Events()
    older, tokens = [*events.allocate_all([MIB] * 4)], Repeats(events)
    for block in older:
        assert not tokens.again("shape", [MIB])
        start = events.mark()
        events.allocate(MIB)
        events.release(block)
        tokens.written("shape", [MIB], start)
