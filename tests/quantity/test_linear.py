"""Untrusted text costs time in proportion to its length, whatever is in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from importlib import import_module
from pkgutil import iter_modules
from re import _constants as codes  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

import pytest

import toolkit.quantity
from tests.work import calls
from toolkit.quantity import find_values, parse_mark, parse_value
from toolkit.quantity.markup import plain_text

MODULES = [import_module(f"toolkit.quantity.{module.name}") for module in iter_modules(toolkit.quantity.__path__)]
PATTERNS = {
    f"{module.__name__.rpartition('.')[2]}.{name}": (module, name, value)
    for module in MODULES
    for name, value in vars(module).items()
    if isinstance(value, re.Pattern)
}

ONCE = {
    "number._FORM": "of a number, whose digits are capped before",
    "parse._NOTHING_MORE": "of the end of a text, once",
    "parse._NOUNS": "of the end of a text, once",
    "wording._TOKEN": "of a whole text, of which every character is in one token",
    "wording._TRAIL": "ends in a repeat of one class that nothing but a look ahead follows",
}
"""Patterns that may give back what an unbounded repeat took, and why that costs no more than a line."""

HOSTILE = [
    "1,", "1,1", "~", "1-", "1 - ", "1 to ", "1 to", "1–2–", "9", "0", "1.", ".1", "1:", "1/", "1e", "1e9",
    "10^", "10^9 ", "²", "7B", "7 B ", "5 GB ", "5 GB-", "5 GB or ", "5 or more ", "5 at least ", "~5 ",
    "up to ", "about ", "no more than 5 ", "between 1 and ", "from 1 GB to ", "$", "$1/hour ", "$1-", "5±",
    "5 ± ", "+", "+1", "-", "> ", "\n> 5", "<", "< 5", "#", "# 5\n", "*", "**", "**5", "5**", "`", "_", "5_",
    "\\", "\\5", "&lt;", "&amp;", "<b", "<b>", "<b >5", "<a href=", "</sup>5<sup>", "â€“5", " ", "\n", "\t5",
    "\xa0", "1\u2009", "1 000 ", "1 000", "000 ", "a", "GB", "per cent ", "5 percentage ", "1\n2\n",
    "1. a\n", "no ", "not ", "✅", "yes, ", "just ", "out of ", "n't ", "é", "１", "5 " + "x" * 30,
]  # fmt: skip


class Counted:
    """A pattern that adds up the characters which it goes through; of a match that fails, one."""

    def __init__(self, pattern: re.Pattern[str], passed: list[int]) -> None:
        self.pattern = pattern
        self._passed = passed

    def match(self, text: str, *span: int) -> re.Match[str] | None:
        return self._taken(self.pattern.match(text, *span))

    def fullmatch(self, text: str, *span: int) -> re.Match[str] | None:
        return self._taken(self.pattern.fullmatch(text, *span))

    def search(self, text: str, start: int = 0, *end: int) -> re.Match[str] | None:
        found = self.pattern.search(text, start, *end)
        self._passed.append((found.end() if found else min([len(text), *end])) - start)
        return found

    def finditer(self, text: str, start: int = 0, *end: int) -> Iterator[re.Match[str]]:
        for found in self.pattern.finditer(text, start, *end):
            self._passed.append(found.end() - start)
            start = found.end()
            yield found
        self._passed.append(min([len(text), *end]) - start)

    def _taken(self, found: re.Match[str] | None) -> re.Match[str] | None:
        self._passed.append(found.end() - found.start() if found else 1)
        return found

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.pattern, name)

        def whole(*given: Any) -> Any:
            self._passed.append(len(given[-1]))  # sub, subn, split and findall go through all of their text
            return method(*given)

        return whole if callable(method) else method


@pytest.fixture
def passed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Characters that the patterns of the package go through from here on."""
    found: list[int] = []
    for module, name, pattern in PATTERNS.values():
        monkeypatch.setattr(module, name, Counted(pattern, found))
    return found


@pytest.mark.parametrize("read", [find_values, parse_value, parse_mark, plain_text])
@pytest.mark.parametrize("piece", HOSTILE)
def test_four_times_the_text_takes_about_four_times_the_work(
    read: Callable[[str], object], piece: str, passed: list[int]
) -> None:
    def work(text: str) -> int:
        passed.clear()
        return calls(lambda: read(text)) + sum(passed)

    short = piece * (3_000 // len(piece))
    # Quadratic work would be sixteen times as much.
    assert work(short * 4) < 6 * work(short) + 200


def _gives_back(parsed: Any) -> bool:
    """Whether a pattern has a repeat without end that may give back what it took, and try again with less."""
    repeats = (codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT)
    for code, given in parsed:
        if code in repeats and given[1] == codes.MAXREPEAT and code is not codes.POSSESSIVE_REPEAT:
            return True
        parts = given if isinstance(given, (list, tuple)) else [given]
        inner = [part for one in parts for part in (one if isinstance(one, list) else [one])]
        if any(_gives_back(part) for part in inner if isinstance(part, parser.SubPattern)):
            return True
    return False


def test_a_repeat_without_end_gives_nothing_back() -> None:
    """What no count of calls sees: how often a pattern tries again within one of them."""
    found = {name for name, (*_, one) in PATTERNS.items() if _gives_back(parser.parse(one.pattern, one.flags))}
    assert found == set(ONCE)


@pytest.mark.parametrize(
    ("pattern", "expected"), [("a+b", True), ("a++b", False), ("(x|(a*)y)", True), ("a{2,9}", False)]
)
def test_repeats_are_seen_wherever_they_stand(pattern: str, expected: bool) -> None:
    assert _gives_back(parser.parse(pattern)) is expected


def test_every_value_of_a_megabyte_is_found() -> None:
    text = "needs **~94 GB** (7.96M of 11B, 24-30 hours) at most, " * 18_000
    assert len(find_values(text)) == 4 * 18_000


def test_digits_are_capped_before_they_are_converted() -> None:
    assert find_values("9" * 100_000) == []
    assert len(find_values("9" * 40)) == 1
    assert find_values("9" * 41) == []
