"""The replayed allocator against what c10/cuda/CUDACachingAllocator.cpp does, worked out by hand."""

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
        (513, 1024, 2 * MIB),
        (MIB, MIB, 2 * MIB),
        (MIB + 1, MIB + 512, 20 * MIB),
        (10 * MIB - 512, 10 * MIB - 512, 20 * MIB),
        (10 * MIB, 10 * MIB, 10 * MIB),
        (11 * MIB + 1, 12 * MIB, 12 * MIB),  # the rest, under 1 MiB, is not cut off and counts as allocated
        (10 * MIB + 512, 10 * MIB + 512, 12 * MIB),  # the rest, over 1 MiB, is
    ],
)
def test_one_request_takes_the_segment_of_its_class(size: int, allocated: int, reserved: int) -> None:
    allocator = CachingAllocator()
    allocator.allocate(size)
    assert (allocator.allocated, allocator.reserved) == (allocated, reserved)


def test_a_large_segment_serves_requests_until_it_is_full() -> None:
    allocator = CachingAllocator()
    for count, reserved in ((1, 20), (2, 20), (3, 20), (4, 20), (5, 40)):
        allocator.allocate(5 * MIB)
        assert allocator.reserved == reserved * MIB, count


def test_small_and_large_requests_never_share_a_segment() -> None:
    allocator = CachingAllocator()
    allocator.free(allocator.allocate(20 * MIB))
    allocator.allocate(512)
    assert allocator.reserved == 22 * MIB


def test_neighbours_join_when_both_are_free_and_serve_what_neither_could() -> None:
    allocator = CachingAllocator()
    blocks = [allocator.allocate(5 * MIB) for _ in range(4)]
    allocator.free(blocks[1])
    allocator.allocate(9 * MIB)
    assert allocator.reserved == 40 * MIB  # 5 MiB free and 9 asked for: a second segment
    allocator.free(blocks[2])
    allocator.allocate(9 * MIB)
    assert allocator.reserved == 40 * MIB


@pytest.mark.parametrize("kind", [CachingAllocator, ExpandableAllocator])
def test_memory_of_a_stream_is_never_anothers(kind: type[CachingAllocator]) -> None:
    allocator = kind()
    allocator.free(allocator.allocate(20 * MIB, stream=1))
    allocator.allocate(20 * MIB)
    assert allocator.reserved == 40 * MIB
    allocator.allocate(20 * MIB, stream=1)
    assert allocator.reserved == 40 * MIB


def test_blocks_of_different_segments_never_join() -> None:
    allocator = CachingAllocator()
    first, second = allocator.allocate(12 * MIB), allocator.allocate(12 * MIB)
    allocator.free(first)
    allocator.free(second)
    allocator.allocate(24 * MIB)
    assert allocator.reserved == 48 * MIB


def test_the_smallest_block_that_is_large_enough_is_taken() -> None:
    allocator = CachingAllocator()
    large, small = allocator.allocate(40 * MIB), allocator.allocate(14 * MIB)
    allocator.free(large)
    allocator.free(small)
    allocator.allocate(12 * MIB)
    allocator.allocate(40 * MIB)
    assert allocator.reserved == 54 * MIB  # 40 MiB were left whole


def test_a_full_card_gives_back_whole_free_segments_and_then_no_more() -> None:
    allocator = CachingAllocator(capacity=50 * MIB)
    allocator.free(allocator.allocate(30 * MIB))
    allocator.allocate(40 * MIB)
    assert (allocator.reserved, allocator.retries) == (40 * MIB, 1)
    with pytest.raises(CardFullError, match="52,428,800"):
        allocator.allocate(12 * MIB)


def test_a_split_segment_is_not_given_back() -> None:
    allocator = CachingAllocator(capacity=50 * MIB)
    held, freed = allocator.allocate(5 * MIB), allocator.allocate(5 * MIB)
    allocator.free(freed)
    with pytest.raises(CardFullError):
        allocator.allocate(40 * MIB)
    allocator.free(held)
    allocator.allocate(40 * MIB)
    assert allocator.reserved == 40 * MIB


SIZES = st.one_of(st.integers(1, 4 * KIB), st.integers(MIB - 512, MIB + 512), st.integers(MIB, 40 * MIB))


@given(st.lists(st.tuples(SIZES, st.integers(0, 9)), max_size=60))
def test_no_blocks_overlap_and_everything_comes_back(requests: list[tuple[int, int]]) -> None:
    allocator = CachingAllocator()
    held = []
    for size, pick in requests:
        held.append(allocator.allocate(size))
        if pick < 5:
            allocator.free(held.pop(pick % len(held)))
        spans = sorted((block.address, block.address + block.size) for block in held)
        assert all(end <= start for (_, end), (start, _) in pairwise(spans))
        assert allocator.allocated == sum(block.size for block in held) <= allocator.reserved
    for block in held:
        allocator.free(block)
    assert allocator.allocated == 0
    allocator.empty_cache()
    assert allocator.reserved == 0, "a segment whose blocks are all free is one whole block again"
