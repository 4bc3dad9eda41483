"""Checks that the text in the slot of a scenario's quote still states the value in the spec."""

from __future__ import annotations

import re
from fractions import Fraction

from toolkit.documents.plain import plain
from toolkit.quantity import Mark, Value, find_values, parse_mark, parse_value
from toolkit.spec.fields.value import Atom, Choices, Fixed, Range

_BETWEEN_WORDS = re.compile(r"[\s_-]+")
_BETWEEN_NAMES = re.compile(r"\s*(?:,|/|;|\band\b|\bor\b|&|\+)\s*|\s+")
_YES = frozenset({"true", "on", "enabled", "used"})
_NO = frozenset({"false", "off", "disabled", "unused"})


def says(text: str, typed: Fixed | Choices | Range) -> bool:
    """Whether a slot's text states the typed value, list of values or range.

    Numbers are equal after parsing: "1,024" is 1024. Names are equal but for case, white space, "-" and "_".
    A model may go without its organisation.
    """
    if isinstance(typed, Range):
        return set(_numbers(text)) == {Fraction(typed.low), Fraction(typed.high)}
    if isinstance(typed, Choices):
        return _says_all(text, typed.values)
    return _says_one(text, typed.value)


def written(typed: Fixed | Choices | Range) -> str:
    """A value of the spec, for messages."""
    if isinstance(typed, Range):
        return f"{typed.low} to {typed.high}"
    values = typed.values if isinstance(typed, Choices) else (typed.value,)
    return ", ".join(_shown(value) for value in values)


def _shown(value: Atom) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(value)}]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def _says_one(text: str, value: Atom) -> bool:
    if isinstance(value, bool):
        return answer(text) is value
    if isinstance(value, int | float):
        said = parse_value(text)
        return said is not None and _is(said, Fraction(str(value)))
    if isinstance(value, tuple):
        return _names(text) == {_name(name) for name in value}
    said_name = _name(text)
    known = _name(value or "none")
    return said_name in {known, known.rpartition("/")[2]}


def _says_all(text: str, values: tuple[Atom, ...]) -> bool:
    """Whether a text lists these values, each once, and no others."""
    if all(_is_number(value) for value in values):
        return sorted(_numbers(text)) == sorted(Fraction(str(value)) for value in values)
    if any(isinstance(value, tuple) for value in values):
        return False
    return _names(text) == {_name(_shown(value)) for value in values}


def _is(said: Value, typed: Fraction) -> bool:
    """Whether a printed number is the typed one; with a suffix ("4k" for 4096) it need only round to it."""
    if len(said.printed) != 1:
        return False
    sizes = [size for _, size in said.unit.readings]
    if any(said.printed[0] * size == typed for size in sizes):
        return True
    return any(size != 1 and typed in interval for size, interval in zip(sizes, said.readings().values(), strict=True))


def same_name(one: str, other: str) -> bool:
    """Whether two names are equal but for case, white space, "-" and "_"."""
    return _name(one) == _name(other)


def _numbers(text: str) -> list[Fraction]:
    """The numbers of a text in their base units, the two ends of a range included."""
    values = find_values(text)
    return [printed * value.unit.readings[0][1] for value in values for printed in value.printed]


def answer(text: str) -> bool | None:
    """Yes or no, as a text says it; None if it says neither."""
    word = _name(text)
    if word in _YES or word in _NO:
        return word in _YES
    mark = parse_mark(text)
    return None if mark is None else mark is not Mark.NO


def _names(text: str) -> set[str]:
    return {_name(name) for name in _BETWEEN_NAMES.split(plain(text)) if name}


def _name(text: str) -> str:
    return _BETWEEN_WORDS.sub(" ", plain(text).casefold()).strip()


def _is_number(value: Atom) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
