"""One number as printed: its digits, and how far they may have been rounded."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import Final

from toolkit.quantity.interval import Interval
from toolkit.quantity.markup import SPACE

CHUNK: Final = (
    r"\.?[0-9]++(?:[.,:\u2009\u202f][0-9]++|[ \u00a0]0[0-9]{2}(?![0-9])(?:[ \u00a0][0-9]{3}(?![0-9]))*+)*+"
    r"(?:(?:/[0-9]++){2,}+)?+"
)
"""A maximal run of digits and what joins digits: one number or none ("3.12.3" and "1,2" hold no number)."""

HEDGE_SHARE: Final = Fraction(1, 20)
"""How far "~" and its like reach at least, as a share of the number."""

MOST_DIGITS: Final = 40
MOST_EXPONENT: Final = 99
MOST_BASE: Final = 9_999

_FORM: Final = re.compile(
    r"(?P<whole>[1-9][0-9]{0,2}(?P<comma>[, \u00a0\u2009\u202f])[0-9]{3}(?:(?P=comma)[0-9]{3})*"
    r"|0|[1-9][0-9]*)?"
    r"(?:\.(?P<decimals>[0-9]+))?"
)
_SUPERSCRIPTS: Final = str.maketrans("⁺⁻⁰¹²³⁴⁵⁶⁷⁸⁹−", "+-0123456789-")
_POWER: Final = (
    r"(?:(?:\^|\*\*)(?:\{(?P<braced>[+\-−]?[0-9]{1,4})\}|(?P<caret>[+\-−]?[0-9]{1,4}+))"
    r"|(?P<raised>[⁺⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]{1,4}+))"
)
_END: Final = r"(?![0-9^⁰¹²³⁴⁵⁶⁷⁸⁹]|\.[0-9])"
_RAISED: Final = re.compile(_POWER + _END)
_TIMES_TEN: Final = re.compile(rf"(?:[eE](?P<e>[+\-−]?[0-9]{{1,4}}+)|{SPACE}?[×x*·⋅]{SPACE}?10{_POWER}){_END}")
_DANGLING: Final = re.compile(r"\^|\*\*[0-9]|[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻]")


@dataclass(frozen=True)
class Number:
    """A printed number: its value, and how far to each side the numbers reach that print the same."""

    value: Fraction
    half: Fraction

    @cached_property
    def reach(self) -> Interval:
        """The numbers it stands for; worked out once, as digits repeat themselves."""
        return Interval(self.value - self.half, self.value + self.half)

    def hedged(self) -> Number:
        """The number behind "~" or its like: it reaches at least `HEDGE_SHARE` of its value to each side."""
        return Number(self.value, max(self.half, abs(self.value) * HEDGE_SHARE))

    def negated(self) -> Number:
        """The number behind a minus sign."""
        return Number(-self.value, self.half)

    def scaled(self, factors: Sequence[Fraction]) -> Number:
        """The number times the first factor, wide enough to hold it times any of the others."""
        values = [self.value * factor for factor in factors]
        halves = [abs(value - values[0]) + self.half * factor for value, factor in zip(values, factors, strict=True)]
        return Number(values[0], max(halves))


def read_number(text: str, start: int, end: int) -> tuple[Number | None, int]:
    """The number whose `CHUNK` is `text[start:end]`, with its power of ten, and where it ends.

    Read are "7", "1,120,000,000" (also grouped by thin spaces), "0.07", ".5", "1e9", "1 × 10^9", "10⁹",
    "2^30". None for anything else: versions, times, dates, lists ("1,2"), decimal commas, leading zeros, over
    `MOST_DIGITS` digits.
    """
    number = _mantissa(text[start:end]) if end - start <= 2 * MOST_DIGITS else None
    if number is None:
        return None, end
    if power := _TIMES_TEN.match(text, end):
        return _scaled(number, _exponent(power["e"] or _caret(power))), power.end()
    if power := _RAISED.match(text, end):
        return _raised(number, text[start:end], power), power.end()
    return (None if _DANGLING.match(text, end) else number), end


@lru_cache(maxsize=8192)
def _mantissa(chunk: str) -> Number | None:
    form = _FORM.fullmatch(chunk)
    if form is None:
        return None
    decimals = form["decimals"] or ""
    whole = (form["whole"] or "").replace(form["comma"] or ",", "")
    digits = whole + decimals
    if len(digits) > MOST_DIGITS:
        return None
    return Number(Fraction(int(digits), 10 ** len(decimals)), _half(whole, decimals))


def _half(whole: str, decimals: str) -> Fraction:
    """Half a unit of the last digit that carries precision.

    With a decimal point every digit does ("4.0" is 3.95 to 4.05). Trailing zeros of a bare integer do not,
    but two digits always do: "4000" is 3,950 to 4,050, "4100" is 4,050 to 4,150, "20" is 19.5 to 20.5.
    """
    if decimals:
        return Fraction(1, 2 * 10 ** len(decimals))
    kept = min(len(whole), max(len(whole.rstrip("0")), 2))
    return Fraction(10 ** (len(whole) - kept), 2)


def _caret(power: re.Match[str]) -> str:
    return str(power["braced"] or power["caret"] or power["raised"])


def _exponent(digits: str) -> int:
    return int(digits.translate(_SUPERSCRIPTS))


def _scaled(number: Number, exponent: int) -> Number | None:
    if abs(exponent) > MOST_EXPONENT:
        return None
    scale = Fraction(10) ** exponent
    return Number(number.value * scale, number.half * scale)


def _raised(base: Number, digits: str, power: re.Match[str]) -> Number | None:
    """A power alone, such as "10^9", "2³⁰": nothing in it was rounded. A superscript on 94 is a footnote."""
    exponent = _exponent(_caret(power))
    if not digits.isdigit() or not 0 < base.value <= MOST_BASE or abs(exponent) > MOST_EXPONENT:
        return None
    if power["raised"] and base.value not in {2, 10, 1000, 1024}:
        return None
    return Number(base.value**exponent, Fraction(0))
