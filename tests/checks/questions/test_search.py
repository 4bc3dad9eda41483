"""The search for the last value that holds, against trying every value."""

from hypothesis import given
from hypothesis import strategies as st

from toolkit.checks.questions.search import last_of_all, last_without_gap, stretches


@st.composite
def turning(draw: st.DrawFn) -> tuple[int, list[int], set[int]]:
    """A range, the turns in it, and the values that hold: a first part of every stretch."""
    most = draw(st.integers(1, 60))
    turns = draw(st.lists(st.integers(-3, 65), max_size=4))
    held: set[int] = set()
    for first, end in stretches(most, turns):
        count = draw(st.integers(0, end - first + 1))
        held |= set(range(first, first + count))
    return most, turns, held


@given(turning())
def test_last_of_all_is_the_largest_that_holds(case: tuple[int, list[int], set[int]]) -> None:
    most, turns, held = case
    assert last_of_all(held.__contains__, most, turns) == (max(held) if held else None)


@given(turning())
def test_last_without_gap_holds_with_all_below_it(case: tuple[int, list[int], set[int]]) -> None:
    most, turns, held = case
    expected = next((value for value in range(most + 1) if value + 1 not in held), most) or None
    assert last_without_gap(held.__contains__, most, turns) == expected


@given(turning())
def test_stretches_cover_every_value_once(case: tuple[int, list[int], set[int]]) -> None:
    most, turns, _ = case
    covered = [value for first, end in stretches(most, turns) for value in range(first, end + 1)]
    assert covered == list(range(1, most + 1))


def test_a_small_dent_near_the_answer_is_no_end() -> None:
    held = set(range(1, 11)) | {12, 13}
    assert last_of_all(held.__contains__, 100, ()) == 13


def test_few_values_of_many_are_tried() -> None:
    tried = []

    def holds(value: int) -> bool:
        tried.append(value)
        return value <= 37_123

    assert last_of_all(holds, 1 << 20, ()) == 37_123
    assert len(tried) < 50


def test_nothing_to_try() -> None:
    assert last_of_all(lambda _: True, 0, ()) is None
    assert last_without_gap(lambda _: True, 0, ()) is None
