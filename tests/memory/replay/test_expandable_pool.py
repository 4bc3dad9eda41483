"""The replay of a pool with expandable segments against the allocator that has their rules one by one."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.memory.allocator.caching import Block
from toolkit.memory.allocator.expandable import ExpandableAllocator
from toolkit.memory.replay.expandable_pool import expandable_pool_reserved
from toolkit.memory.replay.pool import MOST_SMALL

BLOCK, MIB = 512, 1 << 20
ACTIONS = st.lists(st.tuples(st.integers(1, 30 * MIB // BLOCK), st.integers(0, 9), st.booleans()), max_size=80)


def events_of(actions: list[tuple[int, int, bool]], *, small: bool) -> tuple[list[int], list[int]]:
    """Sizes of blocks, and the order in which they come and go: each action makes one, and may end an earlier one."""
    wanted, order, alive = [0], list[int](), list[int]()
    for size, which, ends in actions:
        wanted.append(size % MOST_SMALL + 1 if small else size + MOST_SMALL)
        order.append(len(wanted) - 1)
        alive.append(len(wanted) - 1)
        if ends and alive:
            order.append(-alive.pop(which % len(alive)))
    return wanted, order


@settings(max_examples=300, deadline=None)
@given(ACTIONS, st.booleans())
def test_it_reserves_what_the_allocator_does(actions: list[tuple[int, int, bool]], small: bool) -> None:
    wanted, order = events_of(actions, small=small)
    allocator, blocks = ExpandableAllocator(), dict[int, Block]()
    for event in order:
        if event > 0:
            blocks[event] = allocator.allocate(wanted[event] * BLOCK)
        else:
            allocator.free(blocks.pop(-event))
    assert expandable_pool_reserved(wanted, order, small=small) == allocator.peak_reserved


def test_a_hole_is_filled_in_part_and_memory_is_mapped_by_twenty_mib() -> None:
    """By hand: 30 MiB map 40; 10 more fit behind them. Of the hole of 30, 4 are taken, and 25 go behind these."""
    sizes = [0, *(mib * MIB // BLOCK for mib in (30, 10, 4, 25, 2))]
    assert expandable_pool_reserved(sizes, [1]) == 40 * MIB
    assert expandable_pool_reserved(sizes, [1, 2]) == 40 * MIB
    assert expandable_pool_reserved(sizes, [1, 2, -1, 3, 4]) == 40 * MIB
    assert expandable_pool_reserved(sizes, [1, 2, -1, 3, 4, 5]) == 60 * MIB


def test_what_was_there_first_is_taken_first() -> None:
    sizes = [0, 50 * MIB // BLOCK]
    assert expandable_pool_reserved(sizes, [1], warm=70 * MIB) == 80 * MIB
    assert expandable_pool_reserved(sizes, [1], warm=MIB) == 60 * MIB


def test_it_ends_beyond_a_limit() -> None:
    sizes = [0, *[30 * MIB // BLOCK] * 9]
    assert 100 * MIB < expandable_pool_reserved(sizes, range(1, 10), most=100 * MIB) < 200 * MIB
