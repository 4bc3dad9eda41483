"""Expandable segments against what c10/cuda/CUDACachingAllocator.cpp does, worked out by hand."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.memory.allocator.caching import CachingAllocator, CardFullError
from toolkit.memory.allocator.expandable import ExpandableAllocator

KIB, MIB = 1 << 10, 1 << 20


@pytest.mark.parametrize(
    ("size", "allocated", "reserved"),
    [
        (1, 512, 2 * MIB),
        (MIB, MIB, 2 * MIB),
        (MIB + 1, MIB + 512, 20 * MIB),
        (11 * MIB + 1, 11 * MIB + 512, 20 * MIB),  # any rest is cut off
        (21 * MIB, 21 * MIB, 40 * MIB),
    ],
)
def test_memory_is_mapped_in_units_of_its_pool(size: int, allocated: int, reserved: int) -> None:
    allocator = ExpandableAllocator()
    allocator.allocate(size)
    assert (allocator.allocated, allocator.reserved) == (allocated, reserved)


def test_a_free_end_grows_instead_of_a_new_segment() -> None:
    """12 MiB are free at the end of the first unit: 30 MiB need one unit more, where segments of their own need 30."""
    sizes = (8 * MIB, 30 * MIB)
    expandable, plain = ExpandableAllocator(), CachingAllocator()
    for size in sizes:
        expandable.allocate(size)
        plain.allocate(size)
    assert (expandable.reserved, plain.reserved) == (40 * MIB, 50 * MIB)


def test_growing_blocks_do_not_fragment() -> None:
    """A cache that is copied into a larger one again and again: segments of their own are left behind."""
    expandable, plain = ExpandableAllocator(), CachingAllocator()
    for allocator in (expandable, plain):
        held = allocator.allocate(40 * MIB)
        for step in range(1, 5):
            grown = allocator.allocate((40 + 4 * step) * MIB)
            allocator.free(held)
            held = grown
    assert expandable.reserved < plain.reserved


def test_a_block_that_can_grow_is_kept_for_larger_requests() -> None:
    allocator = ExpandableAllocator()
    first = allocator.allocate(20 * MIB)
    kept = allocator.allocate(20 * MIB)
    last = allocator.allocate(18 * MIB)
    allocator.free(first)
    allocator.free(last)  # 20 MiB are free at the end and 20 MiB in front: the end can grow, the front is taken
    assert allocator.allocate(10 * MIB).address == first.address
    assert kept.address == first.address + 20 * MIB


def test_a_full_card_gets_back_free_units_and_maps_them_elsewhere() -> None:
    allocator = ExpandableAllocator(capacity=60 * MIB)
    first = allocator.allocate(20 * MIB)
    allocator.allocate(20 * MIB)
    allocator.free(first)
    allocator.allocate(40 * MIB)
    assert (allocator.reserved, allocator.retries) == (60 * MIB, 1)
    with pytest.raises(CardFullError, match="62,914,560"):
        allocator.allocate(2 * MIB)


SIZES = st.one_of(st.integers(1, 4 * KIB), st.integers(MIB - 512, MIB + 512), st.integers(MIB, 60 * MIB))


@given(st.lists(st.tuples(SIZES, st.integers(0, 9)), max_size=60), st.sampled_from([None, 200 * MIB]))
def test_no_blocks_overlap_and_everything_comes_back(requests: list[tuple[int, int]], capacity: int | None) -> None:
    allocator = ExpandableAllocator(capacity)
    held = []
    for size, pick in requests:
        try:
            held.append(allocator.allocate(size))
        except CardFullError:
            assert capacity is not None
            assert sum(block.size for block in held) + size > capacity - 4 * 20 * MIB * (len(held) + 1)
            continue
        if pick < 5:
            allocator.free(held.pop(pick % len(held)))
        spans = sorted((block.address, block.address + block.size) for block in held)
        assert all(end <= start for (_, end), (start, _) in pairwise(spans))
        assert allocator.allocated == sum(block.size for block in held) <= allocator.reserved
        assert capacity is None or allocator.reserved <= capacity
    for block in held:
        allocator.free(block)
    assert allocator.allocated == 0
    allocator.empty_cache()
    assert allocator.reserved == 0
