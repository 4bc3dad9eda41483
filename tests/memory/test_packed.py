"""Sizes as one number: nothing is lost, and sums and comparisons are those of the parts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from toolkit.memory.size import OPEN, Size, packed, reaches, unpacked

PARTS = st.builds(lambda fixed, by_rank: fixed + OPEN * by_rank, st.integers(0, 2**45), st.integers(0, 2**45))
SIZES = st.builds(Size, *[PARTS] * len(Size._fields))
FEW = st.integers(0, 2) | st.just(OPEN) | st.just(OPEN + 1)
NEAR = st.builds(Size, *[FEW] * len(Size._fields))


@given(SIZES)
def test_a_size_comes_back(size: Size) -> None:
    assert unpacked(packed(size)) == size


@given(SIZES, SIZES)
def test_sums_and_differences_are_those_of_sizes(one: Size, other: Size) -> None:
    both = packed(one) + packed(other)
    assert unpacked(both) == one.plus(other)
    assert unpacked(both - packed(other)) == one


@given(NEAR, NEAR)
def test_one_reaches_another_in_every_part_or_not_at_all(one: Size, other: Size) -> None:
    in_parts = [(a % OPEN, a // OPEN, b % OPEN, b // OPEN) for a, b in zip(one, other, strict=True)]
    assert reaches(packed(one), packed(other)) is all(a >= c and b >= d for a, b, c, d in in_parts)


@given(SIZES)
def test_a_size_reaches_itself_and_no_larger_one(size: Size) -> None:
    larger = packed(size.plus(Size(square=1)))
    assert reaches(packed(size), packed(size))
    assert reaches(larger, packed(size))
    assert not reaches(packed(size), larger)
