"""Passes as numbers that are moved, against passes that are written change by change."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from toolkit.memory.context import Scale
from toolkit.memory.replay.events import Events
from toolkit.memory.replay.log import Change
from toolkit.memory.replay.numbered import numbered
from toolkit.memory.replay.script import Pass
from toolkit.memory.replay.writer import Writer
from toolkit.memory.size import Size

A, B, C, LARGE = (Size(fixed=size) for size in (100, 200, 300, 3 << 20))
GIVEN, FIRST, SECOND = 7, 1, 2


def test_what_is_given_goes_between_two_parts() -> None:
    run = Pass((Change(FIRST, A), Change(GIVEN), Change(SECOND, B, stays=True), Change(FIRST)), GIVEN, None)
    found = numbered(run, lambda size: size.fixed)
    assert (found.sizes, found.moves) == ([100, 200], [(1,), (2, -1)])
    assert found.stays == [2]
    assert found.left == {}


def test_nothing_is_asked_for_no_bytes_and_for_what_is_made_elsewhere() -> None:
    run = Pass((Change(FIRST, Size()), Change(SECOND, B), Change(SECOND), Change(3, C)), None, 3, frozenset({SECOND}))
    found = numbered(run, lambda size: size.fixed)
    assert (found.sizes, found.moves, found.left) == ([300], [(1,)], {3: 1})


CHANGES = st.lists(
    st.tuples(st.integers(0, 9), st.sampled_from([None, Size(), A, B, C, LARGE]), st.booleans()), max_size=40
)  # fmt: skip


@given(CHANGES, st.frozensets(st.integers(0, 3), max_size=2), st.integers(1, 3), st.booleans())
def test_a_pass_is_the_same_however_it_is_written(
    changes: list[tuple[int, Size | None, bool]], foreign: frozenset[int], times: int, held: bool
) -> None:
    """Again and again, after other blocks, and where somebody else holds what is given."""
    run = Pass(tuple(Change(*change) for change in changes), GIVEN, None, foreign)
    one, other = Writer(Events(), Scale(1, 1)), Writer(Events(), Scale(1, 1))
    for _ in range(times):
        left = []
        for writer in (one, other):
            block = writer.events.allocate(50)
            if held:
                writer.hold(block)
            if writer is one:
                left.append(writer.play_afresh(run, block))
            else:
                blocks = {GIVEN: block}
                writer.play(run.events, blocks, foreign)
                left.append(blocks)
        assert list(left[0].items()) == list(left[1].items())
    assert (one.events.sizes, one.events.order) == (other.events.sizes, other.events.order)
    assert one.gradients == other.gradients
