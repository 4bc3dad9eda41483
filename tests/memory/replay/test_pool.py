"""The fast replay of a pool against the allocator that traces are replayed through."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from toolkit.memory.allocator.caching import SMALL_REQUEST, CachingAllocator
from toolkit.memory.replay.pool import in_blocks, pool_reserved

MIB = 1 << 20
SIZES = st.one_of(st.integers(SMALL_REQUEST + 1, 64 * MIB), st.sampled_from([2 * MIB, 10 * MIB, 20 * MIB, 33 * MIB]))


@given(st.lists(st.tuples(SIZES, st.integers(0, 5)), max_size=80), st.sampled_from([0, 100 * MIB]))
def test_it_reserves_what_the_allocator_does(steps: list[tuple[int, int]], warm: int) -> None:
    _same(steps, warm, small=False)


@given(st.lists(st.tuples(st.integers(1, SMALL_REQUEST), st.integers(0, 5)), max_size=80))
def test_small_requests_too(steps: list[tuple[int, int]]) -> None:
    _same(steps, 0, small=True)


def _same(steps: list[tuple[int, int]], warm: int, *, small: bool) -> None:
    """Each step allocates, and frees one of the blocks that are alive where its number names one."""
    sizes, order, alive = [0], [], []
    for size, frees in steps:
        sizes.append(size)
        alive.append(len(sizes) - 1)
        order.append(len(sizes) - 1)
        if frees and frees <= len(alive):
            order.append(-alive.pop(-frees))
    allocator = CachingAllocator()
    if warm:
        allocator.free(allocator.allocate(warm))
    blocks = {}
    for event in order:
        if event > 0:
            blocks[event] = allocator.allocate(sizes[event])
        else:
            allocator.free(blocks.pop(-event))
    assert pool_reserved(in_blocks(sizes), order, warm, small=small) == allocator.peak_reserved


def test_blocks_of_different_segments_never_join() -> None:
    sizes = [0, 12 * MIB, 12 * MIB, 24 * MIB]
    assert pool_reserved(in_blocks(sizes), [1, 2, -1, -2, 3]) == 48 * MIB
    assert pool_reserved(in_blocks(sizes), [1, 2, -1, -2, 3], most=48 * MIB) == 48 * MIB
    assert pool_reserved(in_blocks(sizes), [1, 2, -1, -2, 3], most=47 * MIB) > 47 * MIB


def test_a_rest_of_up_to_1_mib_stays_with_its_block() -> None:
    sizes = [0, 12 * MIB, 11 * MIB, 2 * MIB]
    assert pool_reserved(in_blocks(sizes), [1, -1, 2, 3]) == 32 * MIB  # the last MiB is split off for nobody
