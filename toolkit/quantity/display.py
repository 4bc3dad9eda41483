"""Exact numbers as text that does not lie: never rounded to a zero, a whole or an equal that they are not.

Three or four significant digits are shown. Trailing zeros say that digits were cut: "8 GiB" is exact, "8.00
GiB" is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

from toolkit.quantity.interval import Interval
from toolkit.quantity.value import Dimension

Reading = Literal["decimal", "binary"]
"""Which units bytes are shown in: "GB" of 10**9 bytes, or "GiB" of 2**30."""


FAR_APART = 100
APART = 20
"""Ends of an interval that differ by this factor are shown in a unit each; by the second, where they suit two units."""

MAX_SHOWN = 8192
"""Texts that are kept: documents repeat themselves, and so does what is said of them."""


class _Scale(NamedTuple):
    """A unit to show numbers in, from `least` of the base unit up."""

    least: Fraction
    size: Fraction
    suffix: str
    prefix: str = ""


def _powers(base: int, *suffixes: str) -> tuple[_Scale, ...]:
    sizes = [Fraction(base**power) for power in range(len(suffixes) - 1, -1, -1)]
    return tuple(_Scale(size, size, suffix) for size, suffix in zip(sizes, reversed(suffixes), strict=True))


def _single(suffix: str, prefix: str = "", size: Fraction = Fraction(1)) -> tuple[_Scale, ...]:
    return (_Scale(Fraction(0), size, suffix, prefix),)


_BYTES: Final[Mapping[Reading, tuple[_Scale, ...]]] = MappingProxyType(
    {
        "decimal": _powers(1000, " bytes", " KB", " MB", " GB", " TB", " PB"),
        "binary": _powers(1024, " bytes", " KiB", " MiB", " GiB", " TiB", " PiB"),
    }
)
_COUNT: Final = (
    *(_Scale(Fraction(10**power), Fraction(10**power), suffix) for power, suffix in ((12, " T"), (9, " B"), (6, " M"))),
    *_single(""),
)
_SECONDS: Final = (
    _Scale(Fraction(172_800), Fraction(86_400), " days"),
    _Scale(Fraction(7200), Fraction(3600), " h"),
    _Scale(Fraction(120), Fraction(60), " min"),
    _Scale(Fraction(0), Fraction(1), " s"),
)
_SCALES: Final[Mapping[Dimension, tuple[_Scale, ...]]] = MappingProxyType(
    {
        Dimension.COUNT: _COUNT,
        Dimension.NUMBER: _COUNT,
        Dimension.SHARE: _single(" %", size=Fraction(1, 100)),
        Dimension.SECONDS: _SECONDS,
        Dimension.MONEY: _single("", prefix="$"),
        Dimension.RATIO: _single("x"),
    }
)
_MOST_EXTRA: Final = 12
_TINIEST, _HUGEST = -6, 14
"""Powers of ten beyond which a number is shown as "1.5 × 10^20"."""


def display_bytes(n: int | Fraction, reading: Reading) -> str:
    """Bytes in the largest unit that they fill: "11.66 GiB" (binary), "12.52 GB" (decimal)."""
    return display_amount(n, Dimension.BYTES, reading)


def display_number(n: int | Fraction) -> str:
    """A number or count: "960", "20.91 B". Whole numbers under a million are shown in full."""
    return display_amount(n, Dimension.COUNT)


def display_count(n: int) -> str:
    """A count to the unit: "20,914,757,184"."""
    return f"{n:,}"


def display_share(share: int | Fraction) -> str:
    """A share of one as a percentage: "0.038 %". Only all of it is "100 %", only none of it is "0 %"."""
    return display_amount(share, Dimension.SHARE)


def display_seconds(seconds: int | Fraction) -> str:
    """A duration in one unit: "45 s", "90 min", "5.5 h", "3.2 days"."""
    return display_amount(seconds, Dimension.SECONDS)


def display_money(dollars: int | Fraction) -> str:
    """US dollars: "$1,500", "$1.5"."""
    return display_amount(dollars, Dimension.MONEY)


@lru_cache(maxsize=MAX_SHOWN)
def display_amount(amount: int | Fraction, dimension: Dimension, reading: Reading = "decimal") -> str:
    """A number in the base unit of a dimension, with the unit that suits its size."""
    exact = Fraction(amount)
    scale = _scale(exact, dimension, reading)
    shown = exact / scale.size
    for extra in range(_MOST_EXTRA):
        digits = _digits(shown, extra)
        if dimension is not Dimension.SHARE or exact == 1 or digits.rstrip("0") not in {"1", "100."}:
            break
    return _with_unit(digits, scale)


def display_byte_range(low: int, high: int, reading: Reading) -> str:
    """Bytes from `low` to `high`: "27.5–28.5 GiB"; a single amount where both are equal."""
    return display_interval(Interval.between(low, high), Dimension.BYTES, reading)


@lru_cache(maxsize=MAX_SHOWN)
def display_interval(interval: Interval, dimension: Dimension, reading: Reading = "decimal") -> str:
    """An interval in the base unit of a dimension: "27.5–28.5 GB", "≥ 15.5 GB"; differing ends look so."""
    low, high = interval.low, interval.high
    if low is None or high is None:
        if low is not None:
            return f"≥ {display_amount(low, dimension, reading)}"
        return "any amount" if high is None else f"≤ {display_amount(high, dimension, reading)}"
    if low == high:
        return display_amount(low, dimension, reading)
    scale = _scale(max(abs(low), abs(high)), dimension, reading)
    if 0 < low * (FAR_APART if _scale(low, dimension, reading) is scale else APART) <= high:
        return f"{display_amount(low, dimension, reading)} – {display_amount(high, dimension, reading)}"
    ends = low / scale.size, high / scale.size
    # What is shown must differ as a number, not by a trailing zero.
    differ = (extra for extra in range(_MOST_EXTRA) if _rounded(ends[0], extra)[0] != _rounded(ends[1], extra)[0])
    extra = next(differ, _MOST_EXTRA)
    first, second = _digits(ends[0], extra), _digits(ends[1], extra)
    return _with_unit(f"{first}{' to ' if low < 0 else '–'}{second}", scale)


def _scale(amount: Fraction, dimension: Dimension, reading: Reading) -> _Scale:
    """The largest unit that the amount fills as shown: 999,999,999 bytes are 1.00 GB, not 1000.0 MB."""
    scales = _BYTES[reading] if dimension is Dimension.BYTES else _SCALES[dimension]
    for scale, smaller in pairwise(scales):
        shown = abs(amount) / smaller.size
        if round(shown, _places(shown)) * smaller.size >= scale.least:
            return scale
    return scales[-1]


def _places(number: Fraction) -> int:
    """How many decimals show three or four significant digits of a number from zero up."""
    if number >= 1:
        return 2 if number < 100 else int(number < 1000)
    return 2 - _magnitude(number) if number else 0


def _magnitude(number: Fraction) -> int:
    """The power of ten of the first digit of a positive number."""
    guess = len(str(number.numerator)) - len(str(number.denominator))
    return guess if number >= Fraction(10) ** guess else guess - 1


def _rounded(number: Fraction, extra: int) -> tuple[Fraction, int]:
    """The number as it is shown, and its decimals, `extra` more than usual."""
    places = _places(abs(number))
    # What rounds up to the next power of ten has one digit more before the point.
    places = min(places, _places(round(abs(number), places))) + extra
    return round(number, places), places


def _digits(number: Fraction, extra: int = 0) -> str:
    """A number without its unit; zeros at the end only where digits were cut."""
    if number and not _TINIEST <= _magnitude(abs(number)) <= _HUGEST:
        power = _magnitude(abs(number))
        return f"{_digits(number / Fraction(10) ** power, extra)} × 10^{power}"
    rounded, places = _rounded(number, extra)
    text = f"{int(abs(rounded)):,}"
    if places:
        text += f".{int(abs(rounded) % 1 * 10**places):0{places}d}"
        text = text.rstrip("0").rstrip(".") if rounded == number else text
    return f"-{text}" if rounded < 0 else text


def _with_unit(digits: str, scale: _Scale) -> str:
    suffix = " byte" if digits == "1" and scale.suffix == " bytes" else scale.suffix
    sign, size = ("-", digits[1:]) if digits.startswith("-") else ("", digits)
    return f"{sign}{scale.prefix}{size}{suffix}"
