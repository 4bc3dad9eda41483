"""Passes as numbers that are moved, against passes that are written change by change."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from toolkit.memory.context import Scale
from toolkit.memory.replay.events import Events
from toolkit.memory.replay.log import Change
from toolkit.memory.replay.numbered import numbered
from toolkit.memory.replay.played import leave, play_backward, play_forward
from toolkit.memory.replay.script import Pass, Script
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


KEYS = st.integers(0, 6)
STEPS = st.lists(st.tuples(KEYS, st.sampled_from([None, None, Size(), A, B, LARGE]), st.booleans()), max_size=20)
OUT, BACK, LEFT = 3, 8, 4


@given(STEPS, st.lists(KEYS, max_size=6), STEPS, st.booleans(), st.integers(1, 3))
def test_what_follows_a_pass_is_the_same_however_it_is_written(
    forward: list[tuple[int, Size | None, bool]],
    leaving: list[int],
    back: list[tuple[int, Size | None, bool]],
    handed_on: bool,
    layers: int,
) -> None:
    """Layer after layer, each on the result of the one before; backward by what is known of one, or by its changes."""
    ahead = Pass(tuple(Change(*change) for change in forward), GIVEN, OUT if handed_on else None)
    behind = Pass(tuple(Change(*change) for change in back), BACK, LEFT)
    script = Script(ahead, tuple(map(Change, leaving)), behind)
    written: list[tuple[list[int], list[int], list[int], dict[int, int], list[int]]] = []
    for by_changes in (False, True):
        writer = Writer(Events(), Scale(1, 1))
        stream, passed, left = writer.events.allocate(50), [], []
        for _ in range(layers):
            passed.append(play_forward(writer, script, stream))
            stream = passed[-1].result
            if by_changes:
                assert passed[-1].blocks is passed[-1].written  # from here on they are known by their keys
        for played in passed:
            leave(writer, played)
        gradient = writer.events.allocate(70)
        for played in reversed(passed):
            gradient = play_backward(writer, played, gradient)
            left += [gradient, *played.blocks.values()]
        events = writer.events
        written.append((events.sizes, events.order, writer.gradients, writer._holders, left))
    assert written[0] == written[1]
