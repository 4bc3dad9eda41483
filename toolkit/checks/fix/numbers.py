"""The number that a false claim should print, where there is only one: in the claim's own unit and digits."""

from __future__ import annotations

import re
from fractions import Fraction
from math import floor

from toolkit.checks.judgement import Judgement, Outcome, Verdict
from toolkit.documents.document import Document
from toolkit.finding import Place
from toolkit.frozen import frozen
from toolkit.quantity import Bound, Value, find_values, parse_value
from toolkit.quantity.number import CHUNK, read_number

_CHUNK = re.compile(CHUNK)
_EQUALS = re.compile(r"[=≈]")
_SEPARATOR = re.compile(r"[0-9]([, \u00a0\u2009\u202f])[0-9]{3}")


@frozen
class NumberFix:
    """A change of digits in a document; offsets are those of its text."""

    claim: str
    place: Place
    code: str
    start: int
    end: int
    old: str
    new: str


def number_fix(judgement: Judgement, document: Document, *, acknowledged: bool = False) -> NumberFix | None:
    """The change that makes a false claim print what is true; None where that is not one number.

    The evidence, with its known error, must round to one number in the claim's unit and decimals: what is known
    only to 3 % is written by nobody.
    """
    if judgement.verdict is not Verdict.DISAGREES or (not judgement.gates and not acknowledged):
        return None
    place = judgement.place
    if place.path != document.path or place.end_line is None or place.end_column is None:
        return None
    start = document.offset(place.line, place.column)
    end = document.offset(place.end_line, place.end_column)
    found = _digits(document.text[start:end], judgement.outcome)
    if found is None:
        return None
    low, high, new = found
    old = document.text[start + low : start + high]
    if old == new:
        return None
    return NumberFix(
        judgement.id, document.place(start + low, start + high), judgement.code, start + low, start + high, old, new
    )


def _digits(text: str, outcome: Outcome) -> tuple[int, int, str] | None:
    """Which digits of a claim's text to replace, and by which."""
    result = _result(text)
    if result is None or outcome.claimed is None or not outcome.evidence:
        return None
    value, offset = result
    if len(value.printed) != 1 or value.bound is not Bound.POINT:
        return None
    chunks = list(_CHUNK.finditer(value.text))
    if len(chunks) != 1 or _unclear(value.text[chunks[0].end() :]):
        return None
    new = _only_number(chunks[0].group(), value, outcome)
    if new is None:
        return None
    start = offset + value.start + chunks[0].start()
    return start, start + len(chunks[0].group()), new


def _result(text: str) -> tuple[Value, int] | None:
    """The one value of a claim, or what stands after the last sign of equality of an equation, and its offset."""
    whole = parse_value(text)
    if whole is not None:
        return whole, 0
    signs = list(_EQUALS.finditer(text))
    if not signs:
        return None
    side = text[signs[-1].end() :]
    values = find_values(side)
    return (values[0], signs[-1].end()) if len(values) == 1 else None


def _unclear(after: str) -> bool:
    """Whether powers or signs follow the digits, so that they are not the number."""
    return bool(re.match(r"\s?[×x*·⋅^⁰¹²³⁴⁵⁶⁷⁸⁹]|[eE][+-]?[0-9]", after))


def _only_number(digits: str, value: Value, outcome: Outcome) -> str | None:
    """The evidence in a claim's unit, written as its digits are; None unless it is one number in every reading."""
    truth, claimed = outcome.evidence[0].interval, outcome.claimed
    if truth.low is None or truth.high is None or claimed is None or value.printed[0] < 0:
        return None
    sizes = [size for name, size in value.unit.readings if name in claimed.readings or len(value.unit.readings) == 1]
    written = {_written(digits, end / size) for size in sizes for end in (truth.low, truth.high)}
    return written.pop() if len(written) == 1 else None


def _written(digits: str, number: Fraction) -> str | None:
    """A number in the digits of another: with its decimals, and as round as it, if that still stands for the number.

    "7,000,000,000" becomes "7,600,000,000" for 7,615,616,512; "100" becomes "94" for 94.2, as 90 is another number.
    """
    old, _ = read_number(digits, 0, len(digits))
    decimals = len(digits.partition(".")[2])
    step = 2 * old.half if old is not None else Fraction(0)
    while step >= Fraction(1, 10**decimals):
        text = _like(digits, floor(number / step + Fraction(1, 2)) * step, decimals)
        new, _ = read_number(text, 0, len(text))
        if new is not None and new.value and number in new.reach:
            return text
        step /= 10
    return None


def _like(digits: str, number: Fraction, decimals: int) -> str:
    """A number with as many decimals as these digits, its thousands parted as theirs are."""
    separator = _SEPARATOR.search(digits)
    whole = f"{int(number):,}".replace(",", separator[1] if separator else "")
    return f"{whole}.{int(number % 1 * 10**decimals):0{decimals}d}" if decimals else whole
