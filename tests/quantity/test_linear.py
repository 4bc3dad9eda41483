"""Untrusted text costs time in proportion to its length, whatever is in it."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from toolkit.quantity import find_values, parse_mark, parse_value
from toolkit.quantity.markup import plain_text

HOSTILE = [
    "1,", "1,1", "~", "1-", "1 - ", "1 to ", "1 to", "1–2–", "9", "0", "1.", ".1", "1:", "1/", "1e", "1e9",
    "10^", "10^9 ", "²", "7B", "7 B ", "5 GB ", "5 GB-", "5 GB or ", "5 or more ", "5 at least ", "~5 ",
    "up to ", "about ", "no more than 5 ", "between 1 and ", "from 1 GB to ", "$", "$1/hour ", "$1-", "5±",
    "5 ± ", "+", "+1", "-", "> ", "\n> 5", "<", "< 5", "#", "# 5\n", "*", "**", "**5", "5**", "`", "_", "5_",
    "\\", "\\5", "&lt;", "&amp;", "<b", "<b>", "<b >5", "<a href=", "</sup>5<sup>", "â€“5", " ", "\n", "\t5",
    "\xa0", "1\u2009", "1 000 ", "1 000", "000 ", "a", "GB", "per cent ", "5 percentage ", "1\n2\n",
    "1. a\n", "no ", "not ", "✅", "yes, ", "just ", "out of ", "n't ", "é", "１", "5 " + "x" * 30,
]  # fmt: skip


def seconds(read: Callable[[str], object], text: str) -> float:
    best = float("inf")
    for _ in range(3):
        begin = time.process_time()  # not what other programs take meanwhile
        read(text)
        best = min(best, time.process_time() - begin)
    return best


@pytest.mark.parametrize("read", [find_values, parse_value, parse_mark, plain_text])
@pytest.mark.parametrize("piece", HOSTILE)
def test_four_times_the_text_costs_about_four_times_the_time(read: Callable[[str], object], piece: str) -> None:
    short = piece * (3_000 // len(piece))
    # Quadratic work would cost sixteen times as much.
    assert seconds(read, short * 4) < 9 * seconds(read, short) + 0.02


def test_every_value_of_a_megabyte_is_found() -> None:
    text = "needs **~94 GB** (7.96M of 11B, 24-30 hours) at most, " * 18_000
    assert len(find_values(text)) == 4 * 18_000


def test_digits_are_capped_before_they_are_converted() -> None:
    assert find_values("9" * 100_000) == []
    assert len(find_values("9" * 40)) == 1
    assert find_values("9" * 41) == []
