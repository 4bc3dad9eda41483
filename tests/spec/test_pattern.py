"""The syntax of a quote: slots, labels, any text, and braces of the document."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.spec.pattern import MAX_QUOTE, PatternError, count_slots


@pytest.mark.parametrize(
    ("text", "slots"),
    [
        ("no slot at all", 0),
        ("needs {} of VRAM", 1),
        ("needs ~{94 GB} of VRAM", 1),
        ("{28 + 28 = 56} in all", 1),
        ("from {*} to {} in {*}", 1),
        ("from { * } on", 0),
        ("{{}} is a dictionary", 0),
        ("{{{}}} is a value in braces", 1),
        ("{{x}} {}", 1),
    ],
)
def test_slots_are_counted(text: str, slots: int) -> None:
    assert count_slots(text) == slots


@pytest.mark.parametrize(
    ("text", "message", "offset"),
    [
        ("{} and {}", "has two slots: it claims one value", 7),
        ("a {} and {b}", "has two slots", 9),
        ("a {}{*} b", "has two slots side by side", 4),
        ("a { b", "has a lone {", 2),
        ("a } b", "has a lone }", 2),
        ("a {b {c} d", "has a lone {", 2),
        ("{}", "has no text beside its slots", 0),
        (" {*} {} ", "has no text beside its slots", 0),
        ("", "is empty", 0),
        ("x" * (MAX_QUOTE + 1), "is longer than 2,000 characters", 0),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text: str, message: str, offset: int) -> None:
    problem = count_slots(text)
    assert isinstance(problem, PatternError)
    assert problem.message.startswith(message)
    assert problem.offset == offset


@given(st.text(st.sampled_from("{}* ab"), max_size=40))
def test_any_text_is_counted_or_refused(text: str) -> None:
    slots = count_slots(text)
    if isinstance(slots, PatternError):
        assert 0 <= slots.offset <= len(text)
    else:
        assert slots in (0, 1)
