"""Sizes as functions of batch and length: exact where they are of a known form, refused where they are not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.memory.timeline.sizes import Forms, NoFormError, Point, same_events, sized
from toolkit.memory.timeline.stream import Run
from toolkit.memory.timeline.timeline import Allocation, Timeline

Bytes = Callable[[int, int], int]
GRID: list[Point] = [(batch, length) for length in (100, 1449, 2775, 4096) for batch in (2, 8)] + [(5, 2775)]
COUNTS = st.integers(0, 99)


def run(point: Point, *sizes: Bytes, operation: str = "op") -> Run:
    timeline = Timeline()
    timeline.mark("load")
    for number, size in enumerate(sizes):
        timeline.allocate(Allocation(size(*point), f"{operation}{number}", ""))
    timeline.release(0)
    return Run(timeline)


def learnt(*sizes: Bytes, grid: list[Point] = GRID) -> Callable[[Point], Run]:
    forms = Forms(grid)
    found = [forms.of(tuple(size(*point) for point in grid)) for size in sizes]
    return sized(run(grid[0], *sizes), range(len(sizes)), found).at


@given(COUNTS, COUNTS, COUNTS, COUNTS, st.integers(1, 10**4), st.integers(1, 10**6))
def test_products_and_squares_are_exact_anywhere(a: int, b: int, c: int, d: int, batch: int, length: int) -> None:
    forms: list[Bytes] = [
        lambda _, __: a,
        lambda batch, length: a + b * batch + c * length + d * batch * length,
        lambda batch, length: (b + a * batch) * length * length,
        lambda batch, length: batch * length * (length + 1) // 2,  # halves, and whole all the same
    ]
    assert learnt(*forms)((batch, length)).timeline == run((batch, length), *forms).timeline


KNOWN: dict[str, Bytes] = {
    "lengths padded to 128": lambda batch, length: 12 * batch * (-(-length // 128) * 128),
    "lengths padded to 32": lambda batch, length: 4 * batch * (-(-length // 32) * 32),
    "lengths padded to 16": lambda batch, length: 4 * batch * (-(-length // 16) * 16),
    "rows of a mask padded to 8": lambda batch, length: 2 * batch * length * (-(-length // 8) * 8),
    "more than 3,072 indices sorted": lambda batch, length: 8 * batch * length * (batch * length > 3072),
    "more than 3,072 positions sorted": lambda _, length: 8 * length * (length > 3072),
    "weights unpacked from 5 sequences on": lambda batch, _: 4096 * (batch > 4),
}


@pytest.mark.parametrize("size", KNOWN.values(), ids=KNOWN)
@given(batch=st.integers(2, 8), length=st.integers(100, 4096))
def test_what_kernels_round_and_when_they_begin_is_known(size: Bytes, batch: int, length: int) -> None:
    assert learnt(size)((batch, length)).timeline == run((batch, length), size).timeline


def test_a_form_that_nobody_knows_is_refused() -> None:
    with pytest.raises(NoFormError, match="no known function gives 200 bytes at 2 x 100"):
        learnt(lambda batch, length: batch * (-(-length // 100) * 100))
    with pytest.raises(NoFormError, match="no known function"):
        learnt(lambda batch, length: batch * batch * length)  # no tensor is quadratic in the batch


def test_part_of_a_byte_is_refused() -> None:
    grid = [(1, 2), (1, 4), (1, 8), (1, 12)]
    at = learnt(lambda _, length: length // 2, grid=grid)
    assert at((1, 6)).timeline.allocations[0].bytes == 3
    with pytest.raises(NoFormError, match="whole number"):
        at((1, 3))


def test_runs_that_differ_in_more_than_sizes_are_told_apart() -> None:
    here, there = (1, 1), (2, 2)
    assert same_events(run(here, lambda b, _: b), run(there, lambda b, _: b))
    assert not same_events(run(here, lambda b, _: b), run(there, lambda b, _: b, operation="other"))


def test_what_repeats_nothing_keeps_its_bytes() -> None:
    forms = Forms(GRID)
    growing = forms.of(tuple(batch for batch, _ in GRID))
    found = sized(run(GRID[0], lambda b, _: b, lambda b, _: b), [0, None], [growing])
    assert [one.bytes for one in found.at((7, 100)).timeline.allocations] == [7, GRID[0][0]]
