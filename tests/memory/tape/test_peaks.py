"""Peaks against plain arithmetic: whatever the batch, the sequence and the rank, nothing larger was left out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from toolkit.memory.context import Scale
from toolkit.memory.size import OPEN, Size
from toolkit.memory.tape.peaks import Peaks, amounts, highest

BYTES = st.integers(0, 1 << 30)
SIZES = st.builds(
    lambda token, fixed, pair, by_rank: Size(token=token + OPEN * by_rank, fixed=fixed, pair=pair),
    BYTES,
    BYTES,
    BYTES,
    st.integers(0, 1 << 16),
)
MOMENTS = st.lists(st.dictionaries(st.sampled_from(["logits", "norms", "masks"]), SIZES), min_size=1, max_size=8)
SCALES = st.builds(Scale, st.integers(1, 64), st.integers(1, 9000), rank=st.integers(1, 256))


def in_bytes(size: Size, scale: Scale) -> int:
    """The bytes of a size, by its words alone."""
    tokens = scale.batch * scale.sequence
    token = size.token % OPEN + size.token // OPEN * scale.rank
    return token * tokens + size.pair * tokens * scale.sequence + size.fixed


@given(SIZES, SCALES)
def test_an_open_rank_is_put_in_where_bytes_are_asked_for(size: Size, scale: Scale) -> None:
    assert scale.bytes(size.parts()) == in_bytes(size, scale)


@given(MOMENTS, SCALES)
def test_the_largest_total_and_the_largest_of_each_row_are_among_the_peaks(
    moments: list[dict[str, Size]], scale: Scale
) -> None:
    peaks = Peaks.of(map(amounts, moments))
    totals = [sum(in_bytes(size, scale) for size in alive.values()) for alive in moments]
    assert max(scale.bytes(peak.total) for peak in peaks.moments) == max(totals)
    for row in {row for alive in moments for row in alive}:
        largest = max(in_bytes(alive[row], scale) for alive in moments if row in alive)
        assert max(map(scale.bytes, peaks.widest[row])) == largest


@given(MOMENTS, SCALES)
def test_without_a_row_the_rest_is_as_it_was(moments: list[dict[str, Size]], scale: Scale) -> None:
    peaks = Peaks.of(map(amounts, moments)).without("logits")
    totals = [sum(in_bytes(size, scale) for row, size in alive.items() if row != "logits") for alive in moments]
    assert [scale.bytes(peak.total) for peak in peaks.moments] == totals
    assert "logits" not in peaks.widest


@given(st.lists(SIZES, min_size=1, max_size=12), SCALES)
def test_what_is_left_out_is_never_the_largest(sizes: list[Size], scale: Scale) -> None:
    kept = highest((size.parts(), size) for size in sizes)
    assert max(in_bytes(size, scale) for size in kept) == max(in_bytes(size, scale) for size in sizes)


def test_of_equals_the_first_is_kept_and_the_order_stays() -> None:
    things = [((1, 5), "a"), ((5, 1), "b"), ((1, 5), "again"), ((1, 1), "below"), ((4, 4), "c")]
    assert highest(things) == ["a", "b", "c"]
