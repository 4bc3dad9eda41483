"""The units that are read, and the symbols that are refused rather than guessed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from types import MappingProxyType
from typing import Final

from toolkit.quantity.value import Dimension, Unit

_Readings = tuple[tuple[str, Fraction], ...]


def _exactly(size: int | Fraction) -> _Readings:
    return (("exact", Fraction(size)),)


def _either(power: int) -> _Readings:
    """Both readings of a prefix: 1000 or 1024, to a power."""
    return (("decimal", Fraction(1000**power)), ("binary", Fraction(1024**power)))


_BYTES: Final[tuple[tuple[str, _Readings], ...]] = (
    ("bytes byte", _exactly(1)),
    ("bits", _exactly(Fraction(1, 8))),
    ("KB kB kb KBs kilobytes kilobyte", _either(1)),
    ("MB mb MBs megabytes megabyte", _either(2)),
    ("GB gb GBs gigabytes gigabyte", _either(3)),
    ("TB tb TBs terabytes terabyte", _either(4)),
    ("PB PBs petabytes petabyte", _either(5)),
    ("KiB KiBs kibibytes kibibyte", _exactly(2**10)),
    ("MiB MiBs mebibytes mebibyte", _exactly(2**20)),
    ("GiB GiBs gibibytes gibibyte", _exactly(2**30)),
    ("TiB TiBs tebibytes tebibyte", _exactly(2**40)),
    ("PiB PiBs pebibytes pebibyte", _exactly(2**50)),
)
_COUNT: Final[tuple[tuple[str, _Readings], ...]] = (
    ("K k thousand", _exactly(10**3)),
    ("M million", _exactly(10**6)),
    ("B b billion", _exactly(10**9)),
    ("T trillion", _exactly(10**12)),
)
_SHARE: Final[tuple[tuple[str, _Readings], ...]] = (
    ("% percent", _exactly(Fraction(1, 100))),
    ("pp", _exactly(Fraction(1, 100))),
)
_SECONDS: Final[tuple[tuple[str, _Readings], ...]] = (
    ("µs μs microseconds microsecond", _exactly(Fraction(1, 10**6))),
    ("ms msec milliseconds millisecond", _exactly(Fraction(1, 1000))),
    ("s sec secs seconds second", _exactly(1)),
    ("min mins minutes minute", _exactly(60)),
    ("h hr hrs hours hour", _exactly(3600)),
    ("days day", _exactly(86_400)),
    ("weeks week", _exactly(604_800)),
)
_RATIO: Final[tuple[tuple[str, _Readings], ...]] = (("x X × times", _exactly(1)),)
_MONEY: Final[tuple[tuple[str, _Readings], ...]] = (
    ("$ USD dollars dollar", _exactly(1)),
    ("$K", _exactly(10**3)),
    ("$M", _exactly(10**6)),
    ("$B", _exactly(10**9)),
)
_FAMILIES: Final = (
    (Dimension.BYTES, _BYTES),
    (Dimension.COUNT, _COUNT),
    (Dimension.SHARE, _SHARE),
    (Dimension.SECONDS, _SECONDS),
    (Dimension.RATIO, _RATIO),
    (Dimension.MONEY, _MONEY),
)
_PHRASES: Final = (
    Unit("percentage points", Dimension.SHARE, _exactly(Fraction(1, 100))),
    Unit("percentage point", Dimension.SHARE, _exactly(Fraction(1, 100))),
    Unit("per cent", Dimension.SHARE, _exactly(Fraction(1, 100))),
)
RATES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "h": "hour", "hr": "hour", "hour": "hour", "gpu-hour": "GPU-hour", "gpu-hr": "GPU-hour",
        "day": "day", "week": "week", "month": "month", "mo": "month", "year": "year", "yr": "year",
    }
)  # fmt: skip
"""What money may be spent per, in lower case, and the name it has in a unit's symbol ("$/hour")."""

RATE_SECONDS: Final[Mapping[str, Fraction]] = MappingProxyType(
    {"hour": Fraction(3600), "GPU-hour": Fraction(3600), "day": Fraction(86_400), "week": Fraction(604_800)}
)
"""How long that is, by the name in a symbol; months and years have no one length."""

PLAIN: Final = Unit("", Dimension.NUMBER, _exactly(1))
"""The unit of a bare number. Whatever is counted ("320 examples") is no part of the value."""


def _all_units() -> Iterator[Unit]:
    yield PLAIN
    yield from _PHRASES
    for dimension, rows in _FAMILIES:
        for symbols, readings in rows:
            for symbol in symbols.split():
                yield Unit(symbol, dimension, readings)
                if symbol.startswith("$"):
                    yield from (Unit(f"{symbol}/{per}", dimension, readings) for per in dict.fromkeys(RATES.values()))


UNITS: Final[Mapping[str, Unit]] = MappingProxyType({unit.symbol: unit for unit in _all_units()})
"""Every unit by its symbol as written. A rate of money ("$/hour") is money whose symbol names the rate."""


def rate_of(unit: Unit) -> str | None:
    """What a unit of money is spent per ("hour" of "$/hour"); None for a plain amount, or another unit."""
    return unit.symbol.partition("/")[2] or None if unit.dimension is Dimension.MONEY else None


AMBIGUOUS: Final[Mapping[str, Mapping[Dimension, str]]] = MappingProxyType(
    {
        "K": {Dimension.COUNT: "K", Dimension.BYTES: "KB"},
        "k": {Dimension.COUNT: "k", Dimension.BYTES: "KB"},
        "M": {Dimension.COUNT: "M", Dimension.BYTES: "MB"},
        "G": {Dimension.BYTES: "GB"},
        "T": {Dimension.COUNT: "T", Dimension.BYTES: "TB"},
        "B": {Dimension.COUNT: "B", Dimension.BYTES: "bytes"},
        "b": {Dimension.COUNT: "b"},
        "Ki": {Dimension.BYTES: "KiB"},
        "Mi": {Dimension.BYTES: "MiB"},
        "Gi": {Dimension.BYTES: "GiB"},
        "Ti": {Dimension.BYTES: "TiB"},
        "m": {Dimension.SECONDS: "min", Dimension.COUNT: "M"},
        "d": {Dimension.SECONDS: "days"},
        "times": {Dimension.RATIO: "times"},
        "x": {Dimension.RATIO: "x"},
        "X": {Dimension.RATIO: "X"},
        "×": {Dimension.RATIO: "×"},
    }
)
"""Symbols whose meaning hangs on the dimension that is asked for: the unit that they name in each."""

ATTACHED: Final = frozenset({"K", "k", "M", "B", "b", "T", "x", "X", "×"})
"""Ambiguous symbols that read as themselves when written onto the number, as in "7B" and "3x"."""

SIGNS_OF_OPERATION: Final = frozenset({"x", "X", "×", "times"})
"""Symbols that multiply when they stand apart from the number: "2 × 4", "3 times"."""

REFUSED: Final = frozenset(
    {
        "Kb", "Mb", "Gb", "Tb", "Kbit", "Mbit", "Gbit", "kbps", "Mbps", "Gbps", "bit", "Bit",
        "Hz", "kHz", "MHz", "GHz", "W", "kW", "kWh", "FLOPS", "GFLOPS", "TFLOPS", "PFLOPS", "TOPS",
        "nm", "mm", "cm", "EUR", "GBP", "CNY", "JPY",
    }
)  # fmt: skip
"""Units that are not read: a number before one of them is no value, for dropping the unit would lie."""


def unit_named(word: str, *, spaced: bool, dimension: Dimension | None) -> Unit | None:
    """The unit that a word after a number names; None for a word that names no unit or only might name one.

    `spaced` says that the word stands apart from its number. Words of four letters and more may be
    capitalised.
    """
    meanings = AMBIGUOUS.get(word)
    if meanings is not None:
        wanted = Dimension.COUNT if dimension is Dimension.NUMBER else dimension
        if wanted is not None and wanted in meanings:
            return UNITS[meanings[wanted]]
        return UNITS[word] if word in ATTACHED and not spaced else None
    return UNITS.get(word) or (UNITS.get(word.lower()) if len(word) >= 4 else None)
