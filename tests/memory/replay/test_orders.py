"""Events in the orders in which they may come."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.memory.replay import orders, requests
from toolkit.memory.replay.events import Events
from toolkit.memory.replay.orders import follow, peak, reserved

MIB = 1 << 20


def _events(*steps: tuple[str, int], loaded: int = 0) -> Events:
    """Named blocks: a size allocates one, 0 releases it."""
    events = Events()
    blocks: dict[str, int] = {}
    for name, size in steps:
        if size:
            blocks[name] = events.allocate(size)
        else:
            events.release(blocks.pop(name))
    events.loaded = loaded
    return events


def test_a_release_may_come_just_before_or_just_after_the_next_allocation() -> None:
    events = _events(("a", 30 * MIB), ("a", 0), ("b", 30 * MIB), ("b", 0))
    assert reserved(events) == (30 * MIB, 60 * MIB)
    assert reserved(events, swaps=False) == (30 * MIB, 30 * MIB)


@pytest.mark.parametrize(("settles", "low"), [(False, 36), (True, 72)])
def test_a_cache_never_has_the_place_of_what_it_is_put_together_from(settles: bool, low: int) -> None:
    """Once an order is settled: the old one is read until the new one is there, so that there are two segments."""
    events = Events()
    block = events.allocate(36 * MIB)
    if settles:
        events.is_settled()
    for _ in range(4):
        [block] = events.exchange([block], [36 * MIB])
    assert reserved(events)[0] == low * MIB
    assert reserved(events, swaps=False) == (72 * MIB, 72 * MIB)


def test_beyond_a_limit_nothing_is_followed() -> None:
    events = _events(*((f"{number}", 30 * MIB) for number in range(10)))
    assert reserved(events) == (300 * MIB, 300 * MIB)
    low, high = reserved(events, limit=100 * MIB)
    assert 100 * MIB < low == high < 150 * MIB
    assert reserved(events, limit=300 * MIB) == (300 * MIB, 300 * MIB)


def test_a_model_may_be_cut_out_of_one_block() -> None:
    events = _events(("a", 11 * MIB), ("b", 11 * MIB), ("c", 11 * MIB), loaded=3)
    events.block = 33 * MIB
    assert reserved(events, warms=True, swaps=False) == (34 * MIB, 36 * MIB)
    events.block += MIB // 2  # for small ones, which have a pool of their own: more is left of it
    assert reserved(events, warms=True, swaps=False) == (34 * MIB, 36 * MIB)


def test_small_requests_have_a_pool_of_their_own() -> None:
    events = _events(("large", 30 * MIB), ("large", 0), ("small", MIB))
    assert reserved(events, swaps=False) == (32 * MIB, 32 * MIB)


def test_the_peak_counts_blocks_of_512_bytes() -> None:
    assert peak(_events(("a", 1), ("b", 513), ("a", 0), ("c", 1))) == 512 + 1024
    assert peak(Events()) == 0


STEPS = st.lists(st.tuples(st.sampled_from([1, 512, 513, MIB, MIB + 1, 30 * MIB]), st.integers(0, 5)), max_size=40)


@given(STEPS)
def test_events_are_written_by_pool_and_known_in_order(steps: list[tuple[int, int]]) -> None:
    """Each step allocates, and releases one of the blocks that are there where its number names one."""
    events, there, order, most = Events(), [], [], 0
    for size, number in steps:
        there.append(events.allocate(size))
        order.append(there[-1])
        most = max(most, sum(-(-events.sizes[block] // 512) for block in there))
        if 0 < number <= len(there):
            order.append(-there[-number])
            events.release(there.pop(-number))
    assert events.order == order
    assert peak(events) == 512 * most
    is_large = [events.sizes[abs(event)] > MIB for event in order]
    asked = requests.plain_requests(events)
    for pool, wanted in ((asked.large, True), (asked.small, False)):
        assert isinstance(pool, requests.PlainPool)
        assert pool._order == [event for event, large in zip(order, is_large, strict=True) if large is wanted]


SIZES = st.sampled_from([0, 1, 512, 513, MIB, MIB + 1, 30 * MIB])
GROWING = st.lists(st.tuples(SIZES, SIZES), max_size=12)


@given(GROWING, st.booleans())
def test_many_events_at_once_are_those_written_one_by_one(sizes: list[tuple[int, int]], other: bool) -> None:
    """After another block or not: blocks that are made, each of which another takes the place of, and their ends."""
    one, many = Events(), Events()
    for events in (one, many) if other else ():
        events.allocate(MIB)
    old = [one.allocate(size) for size, _ in sizes]
    assert [*many.allocate_all(size for size, _ in sizes)] == old
    assert many == one
    kept = [(block, size) for block, (_, size) in zip(old, sizes, strict=True) if block and size]
    new = []
    for block, size in kept:
        new.append(one.allocate(size))
        one.release(block)
    assert [*many.exchange([block for block, _ in kept], [size for _, size in kept])] == new
    assert many == one
    for block in new:
        one.release(block)
    many.release_all(new)
    assert many == one


@given(STEPS, st.integers(0, 40))
def test_each_release_changes_places_with_the_allocation_beside_it(steps: list[tuple[int, int]], loaded: int) -> None:
    """In both directions, against what is said of two neighbours, and only after so many events of loading."""
    order = _order(steps)
    late, early = requests.swapped(order, loaded)
    expected_late, expected_early = list(order), list(order)
    for place in range(loaded, len(order) - 1):
        before, after = order[place : place + 2]
        if before < 0 < after:
            expected_late[place : place + 2] = after, before
        if after < 0 < before != -after:
            expected_early[place : place + 2] = after, before
    assert (late, early) == (expected_late, expected_early)


def _order(steps: list[tuple[int, int]]) -> list[int]:
    """Each step allocates, and releases one of the blocks that are there where its number names one."""
    there, order = [], []
    for block, (_, number) in enumerate(steps, 1):
        there.append(block)
        order.append(block)
        if 0 < number <= len(there):
            order.append(-there.pop(-number))
    return order


def test_stretches_come_where_they_were_moved_to() -> None:
    """Each of blocks of its own, which follow those that were there."""
    events = Events()
    first = events.allocate(10)
    events.sizes += [20, 30]
    events.move((1, 2, -1), first)
    events.release(first)
    events.is_loaded()
    events.sizes += [20, 30]
    events.move((1, 2, -1), first + 2)
    events.release(first + 1)
    assert events.order == [1, 2, 3, -2, -1, 4, 5, -4, -2]
    assert events.loaded == 5


def test_nothing_is_asked_for_no_bytes() -> None:
    events = Events()
    events.release(events.allocate(0))
    assert events.order == []


def test_the_same_requests_are_replayed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orders, "_KNOWN", {})
    replayed: list[object] = []
    replay = requests.replay_pool

    def counted(*asked: object, **how: object) -> int:
        replayed.append(asked)
        return replay(*asked, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(requests, "replay_pool", counted)
    monkeypatch.setattr(orders, "_compiled", None)
    steps = ("a", 30 * MIB), ("small", MIB), ("a", 0), ("b", 30 * MIB), ("b", 0)
    first = reserved(_events(*steps))
    assert len(replayed) == 4  # three orders of what is large, and what is small
    assert reserved(_events(*steps)) == first
    assert len(replayed) == 4
    reserved(_events(*steps), swaps=False)
    assert len(replayed) == 6
    reserved(_events(("a", 32 * MIB), *steps[1:]))
    assert len(replayed) == 10


def test_stretches_that_come_again_are_said_once() -> None:
    """Events that are told by stretches are replayed as those that are written one by one."""
    told, written = Events(), Events()
    sizes, moves = [30 * MIB, 1 << 10, 25 * MIB], (1, 2, 3, -1)
    first = told.allocate(MIB)
    for _ in range(4):
        told.move(moves, told.make(sizes))
    told.release(first)
    block = written.allocate(MIB)
    for _ in range(4):
        made = [written.allocate(size) for size in sizes]
        written.release(made[0])
    written.release(block)
    outline = told.outline()
    assert (outline.sizes, outline.which, outline.moves, outline.moving) == ([sizes], [0] * 4, [moves], [0] * 4)
    assert (outline.apart, outline.after) == ([0, MIB], [2] * 4)
    assert told == Events(written.sizes, told.written, told.moved)
    assert told.order == written.order
    assert reserved(told) == reserved(written)


def test_sizes_of_any_length_are_replayed() -> None:
    huge = 1 << 80
    assert reserved(_events(("a", huge), ("b", 3 * huge), ("a", 0), ("c", huge)), swaps=False) == (4 * huge, 4 * huge)


def test_what_was_there_while_a_model_was_loaded_is_not_counted() -> None:
    events = Events()
    in_file = events.allocate(40 << 20)
    events.allocate(12 << 20)
    events.release(in_file)
    events.is_loaded()
    events.release(events.allocate(3 << 20))
    assert follow(events).counted == ((12 + 3) << 20, (12 + 3) << 20)
