"""Sizes as polynomials: exact where they are, refused where they are none."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.memory.pattern import NoPatternError
from toolkit.memory.sizes import sized
from toolkit.memory.stream import Run
from toolkit.memory.timeline import Allocation, Timeline


def run(value: int, *sizes: Callable[[int], int], operation: str = "op") -> Run:
    timeline = Timeline()
    timeline.mark("load")
    for number, size in enumerate(sizes):
        timeline.allocate(Allocation(size(value), f"{operation}{number}", ""))
    timeline.release(0)
    return Run(timeline)


@given(st.integers(0, 99), st.integers(0, 99), st.integers(0, 99), st.integers(1, 10**6))
def test_squares_are_exact_at_any_value(constant: int, slope: int, square: int, value: int) -> None:
    forms: list[Callable[[int], int]] = [
        lambda x: constant,
        lambda x: constant + slope * x,
        lambda x: constant + slope * x + square * x * x,
        lambda x: x * (x + 1) // 2,  # halves, and whole all the same
    ]
    found = sized({at: run(at, *forms) for at in (2, 5, 7, 100)}, 100)
    assert found.at(value).timeline == run(value, *forms).timeline


def test_what_is_rounded_is_no_polynomial() -> None:
    def padded(value: int) -> int:
        return -(-value // 128) * 128

    with pytest.raises(NoPatternError, match=r"sizes at 1,000 are not those of the polynomials through \(1, 2, 3\)"):
        sized({at: run(at, padded) for at in (1, 2, 3, 1000)}, 1000)
    found = sized({at: run(at, padded) for at in (128, 256, 512, 1024)}, 1024)
    assert found.at(2048).timeline.allocations[0].bytes == 2048


def test_other_operations_are_no_other_size() -> None:
    runs = {at: run(at, lambda x: x, operation="few" if at < 50 else "many") for at in (2, 3, 64)}
    with pytest.raises(NoPatternError, match="at 64 other operations run than at 2"):
        sized(runs, 64)


def test_part_of_a_byte_is_refused() -> None:
    found = sized({at: run(at, lambda x: x // 2) for at in (2, 4, 8)}, 8)
    with pytest.raises(NoPatternError, match="whole number"):
        found.at(3)
