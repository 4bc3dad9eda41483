"""What each written form stands for: worked by hand from the rules in the package's docstring."""

from __future__ import annotations

from fractions import Fraction

import pytest

from toolkit.quantity import (
    Bound,
    Dimension,
    Interval,
    Value,
    exact_interval,
    exact_value,
    find_values,
    parse_value,
)
from toolkit.quantity.units import UNITS


def only(text: str) -> Value:
    """The value that the text is, read both ways."""
    value = parse_value(text)
    assert value is not None, text
    assert find_values(text)[0] == value
    return value


def between(low: str | None, high: str | None) -> Interval:
    return Interval(None if low is None else Fraction(low), None if high is None else Fraction(high))


NUMBERS = [
    ("7", "7", "6.5", "7.5"),
    ("16", "16", "15.5", "16.5"),
    ("28", "28", "27.5", "28.5"),
    ("0", "0", "-0.5", "0.5"),
    # Trailing zeros of a bare integer carry no precision, but two digits always do.
    ("10", "10", "9.5", "10.5"),
    ("20", "20", "19.5", "20.5"),
    ("100", "100", "95", "105"),
    ("300", "300", "295", "305"),
    ("320", "320", "315", "325"),
    ("960", "960", "955", "965"),
    ("1501", "1501", "1500.5", "1501.5"),
    ("4000", "4000", "3950", "4050"),
    ("4,000", "4000", "3950", "4050"),
    ("4100", "4100", "4050", "4150"),
    ("4096", "4096", "4095.5", "4096.5"),
    ("25,000", "25000", "24500", "25500"),
    ("1,120,000,000", "1120000000", "1115000000", "1125000000"),
    ("7,000,000,000", "7000000000", "6950000000", "7050000000"),
    ("280,000,000", "280000000", "275000000", "285000000"),
    ("11,049,066,048", "11049066048", "11049066047.5", "11049066048.5"),
    ("7,962,624", "7962624", "7962623.5", "7962624.5"),
    # With a decimal point every digit does.
    ("0.07", "0.07", "0.065", "0.075"),
    (".5", "0.5", "0.45", "0.55"),
    ("0.042", "0.042", "0.0415", "0.0425"),
    ("4.0", "4", "3.95", "4.05"),
    ("4.00", "4", "3.995", "4.005"),
    ("100.0", "100", "99.95", "100.05"),
    ("1,234.5", "1234.5", "1234.45", "1234.55"),
    # Powers: the mantissa rounds as it does alone; a power alone is exact.
    ("1e9", "1000000000", "500000000", "1500000000"),
    ("2e-4", "0.0002", "0.00015", "0.00025"),
    ("1.5E+3", "1500", "1450", "1550"),
    ("1 × 10^9", "1000000000", "500000000", "1500000000"),
    ("1.0×10⁹", "1000000000", "950000000", "1050000000"),
    ("2.5 x 10^{-3}", "0.0025", "0.00245", "0.00255"),
    ("3 * 10**2", "300", "250", "350"),
    ("10^9", "1000000000", "1000000000", "1000000000"),
    ("10⁹", "1000000000", "1000000000", "1000000000"),
    ("10**9", "1000000000", "1000000000", "1000000000"),
    ("10<sup>9</sup>", "1000000000", "1000000000", "1000000000"),
    ("2^30", "1073741824", "1073741824", "1073741824"),
    ("2³⁰", "1073741824", "1073741824", "1073741824"),
    ("1024**3", "1073741824", "1073741824", "1073741824"),
    # Groups by thin and by plain spaces.
    ("1\u202f120\u202f000", "1120000", "1115000", "1125000"),
    ("7 000 000 000", "7000000000", "6950000000", "7050000000"),
    # Signs.
    ("+40", "40", "39.5", "40.5"),
    ("-5", "-5", "-5.5", "-4.5"),
    ("−5.0", "-5", "-5.05", "-4.95"),
]


@pytest.mark.parametrize(("text", "printed", "low", "high"), NUMBERS)
def test_a_printed_number_stands_for_what_its_digits_round_to(text: str, printed: str, low: str, high: str) -> None:
    value = only(text)
    assert value.printed == (Fraction(printed),)
    assert value.written == between(low, high)
    assert (value.unit, value.hedge, value.bound) == (UNITS[""], None, Bound.POINT)
    assert (value.text, value.start, value.end) == (text, 0, len(text))


UNITS_READ = [
    ("16GB", "16", Dimension.BYTES, {"decimal": 16 * 10**9, "binary": 16 * 2**30}),
    ("16 GB", "16", Dimension.BYTES, {"decimal": 16 * 10**9, "binary": 16 * 2**30}),
    ("16\u00a0gb", "16", Dimension.BYTES, {"decimal": 16 * 10**9, "binary": 16 * 2**30}),
    ("16&nbsp;GB", "16", Dimension.BYTES, {"decimal": 16 * 10**9, "binary": 16 * 2**30}),
    ("80-GB", "80", Dimension.BYTES, {"decimal": 80 * 10**9, "binary": 80 * 2**30}),
    ("2 gigabytes", "2", Dimension.BYTES, {"decimal": 2 * 10**9, "binary": 2 * 2**30}),
    ("500 MB", "500", Dimension.BYTES, {"decimal": 500 * 10**6, "binary": 500 * 2**20}),
    ("64 KB", "64", Dimension.BYTES, {"decimal": 64_000, "binary": 65_536}),
    ("2 TB", "2", Dimension.BYTES, {"decimal": 2 * 10**12, "binary": 2 * 2**40}),
    ("1.04 GiB", "1.04", Dimension.BYTES, {"exact": Fraction("1.04") * 2**30}),
    ("512 MiB", "512", Dimension.BYTES, {"exact": 512 * 2**20}),
    ("4 bytes", "4", Dimension.BYTES, {"exact": 4}),
    ("0.5 bytes", "0.5", Dimension.BYTES, {"exact": Fraction(1, 2)}),
    ("16 bits", "16", Dimension.BYTES, {"exact": 2}),
    ("7B", "7", Dimension.COUNT, {"exact": 7 * 10**9}),
    ("7b", "7", Dimension.COUNT, {"exact": 7 * 10**9}),
    ("7 billion", "7", Dimension.COUNT, {"exact": 7 * 10**9}),
    ("7.96M", "7.96", Dimension.COUNT, {"exact": 7_960_000}),
    ("20 million", "20", Dimension.COUNT, {"exact": 20 * 10**6}),
    ("50K", "50", Dimension.COUNT, {"exact": 50_000}),
    ("2T", "2", Dimension.COUNT, {"exact": 2 * 10**12}),
    ("0.07%", "0.07", Dimension.SHARE, {"exact": Fraction("0.0007")}),
    ("0.07 %", "0.07", Dimension.SHARE, {"exact": Fraction("0.0007")}),
    ("5 percent", "5", Dimension.SHARE, {"exact": Fraction(1, 20)}),
    ("5 per cent", "5", Dimension.SHARE, {"exact": Fraction(1, 20)}),
    ("5 pp", "5", Dimension.SHARE, {"exact": Fraction(1, 20)}),
    ("5 percentage points", "5", Dimension.SHARE, {"exact": Fraction(1, 20)}),
    ("3x", "3", Dimension.RATIO, {"exact": 3}),
    ("2×", "2", Dimension.RATIO, {"exact": 2}),
    ("10 minutes", "10", Dimension.SECONDS, {"exact": 600}),
    ("90 min", "90", Dimension.SECONDS, {"exact": 5400}),
    ("5.5 hours", "5.5", Dimension.SECONDS, {"exact": 19_800}),
    ("1 Hour", "1", Dimension.SECONDS, {"exact": 3600}),
    ("8h", "8", Dimension.SECONDS, {"exact": 28_800}),
    ("3 days", "3", Dimension.SECONDS, {"exact": 259_200}),
    ("2s", "2", Dimension.SECONDS, {"exact": 2}),
    ("300s", "300", Dimension.SECONDS, {"exact": 300}),
    ("40 ms", "40", Dimension.SECONDS, {"exact": Fraction(1, 25)}),
    ("$1,500", "1500", Dimension.MONEY, {"exact": 1500}),
    ("$25K", "25", Dimension.MONEY, {"exact": 25_000}),
    ("$2 million", "2", Dimension.MONEY, {"exact": 2_000_000}),
    ("US$5", "5", Dimension.MONEY, {"exact": 5}),
    ("USD 5", "5", Dimension.MONEY, {"exact": 5}),
    ("25 USD", "25", Dimension.MONEY, {"exact": 25}),
    ("$4/hour", "4", Dimension.MONEY, {"exact": 4}),
]


@pytest.mark.parametrize(("text", "printed", "dimension", "sizes"), UNITS_READ)
def test_units_and_their_readings(
    text: str, printed: str, dimension: Dimension, sizes: dict[str, int | Fraction]
) -> None:
    value = only(text)
    assert value.printed == (Fraction(printed),)
    assert value.unit.dimension is dimension
    assert {name: value.printed[0] * size for name, size in value.unit.readings} == sizes
    assert all(size in value.readings()[name] for name, size in sizes.items())


def test_a_suffix_is_a_unit_and_keeps_the_precision_of_its_digits() -> None:
    assert only("7B").readings() == {"exact": between("6500000000", "7500000000")}
    assert only("40.4M").readings() == {"exact": between("40350000", "40450000")}
    assert only("100K").readings() == {"exact": between("95000", "105000")}


@pytest.mark.parametrize(
    ("text", "symbol"),
    [
        ("$4/hour", "$/hour"),
        ("$4 per hour", "$/hour"),
        ("$4/hr", "$/hour"),
        ("$4 an hour", "$/hour"),
        ("$2K/month", "$K/month"),
        ("$2/GPU-hour", "$/GPU-hour"),
        ("$25K", "$K"),
        ("$5", "$"),
    ],
)
def test_a_rate_of_money_is_kept_in_the_symbol(text: str, symbol: str) -> None:
    assert only(text).unit == UNITS[symbol]


HEDGED = [
    # 5 % of the value where that is more than its rounding, else the rounding.
    ("~94 GB", "89.3", "98.7", "~"),
    ("∼94 GB", "89.3", "98.7", "∼"),
    ("≈ 94 GB", "89.3", "98.7", "≈"),
    ("≈ 8 GB", "7.5", "8.5", "≈"),
    ("about 8 GB", "7.5", "8.5", "about"),
    ("About 40 GB", "38", "42", "about"),
    ("roughly 40 GB", "38", "42", "roughly"),
    ("around 40 GB", "38", "42", "around"),
    ("approximately 40 GB", "38", "42", "approximately"),
    ("approx. 40 GB", "38", "42", "approx."),
    ("close to 40 GB", "38", "42", "close to"),
    ("40 GB or so", "38", "42", "or so"),
    ("~$40", "38", "42", "~"),
    ("~ 11.67 GB", "11.0865", "12.2535", "~"),
    (r"\~94 GB", "89.3", "98.7", "~"),
    ("&asymp; 94 GB", "89.3", "98.7", "≈"),
]


@pytest.mark.parametrize(("text", "low", "high", "hedge"), HEDGED)
def test_a_hedge_widens_to_five_percent_at_least(text: str, low: str, high: str, hedge: str) -> None:
    value = only(text)
    assert (value.written, value.hedge, value.bound) == (between(low, high), hedge, Bound.POINT)


BOUNDS = [
    ("up to 8 GB", None, "8.5", Bound.AT_MOST),
    ("at most 8 GB", None, "8.5", Bound.AT_MOST),
    ("under 8 GB", None, "8.5", Bound.AT_MOST),
    ("less than 8 GB", None, "8.5", Bound.AT_MOST),
    ("no more than 8 GB", None, "8.5", Bound.AT_MOST),
    ("max. 8 GB", None, "8.5", Bound.AT_MOST),
    ("8 GB or less", None, "8.5", Bound.AT_MOST),
    ("8 GB max", None, "8.5", Bound.AT_MOST),
    ("<5%", None, "5.5", Bound.AT_MOST),
    ("&lt;5%", None, "5.5", Bound.AT_MOST),
    ("<= 5 %", None, "5.5", Bound.AT_MOST),
    ("≤ 5 %", None, "5.5", Bound.AT_MOST),
    ("up to ~40 GB", None, "42", Bound.AT_MOST),
    ("up to 2-4x", None, "4.5", Bound.AT_MOST),
    ("at least 16 GB", "15.5", None, Bound.AT_LEAST),
    ("At least 16 GB", "15.5", None, Bound.AT_LEAST),
    ("more than 16 GB", "15.5", None, Bound.AT_LEAST),
    ("no less than 16 GB", "15.5", None, Bound.AT_LEAST),
    ("over 16 GB", "15.5", None, Bound.AT_LEAST),
    (">16GB", "15.5", None, Bound.AT_LEAST),
    (">= 16GB", "15.5", None, Bound.AT_LEAST),
    ("≥16GB", "15.5", None, Bound.AT_LEAST),
    ("8GB+", "7.5", None, Bound.AT_LEAST),
    ("8+ GB", "7.5", None, Bound.AT_LEAST),
    ("80%+", "79.5", None, Bound.AT_LEAST),
    ("$25,000+", "24500", None, Bound.AT_LEAST),
    ("24GB or more", "23.5", None, Bound.AT_LEAST),
    ("11.8 or higher", "11.75", None, Bound.AT_LEAST),
    ("16 GB minimum", "15.5", None, Bound.AT_LEAST),
    ("8-12 GB+", "7.5", None, Bound.AT_LEAST),
]


@pytest.mark.parametrize(("text", "low", "high", "bound"), BOUNDS)
def test_a_bound_keeps_one_side(text: str, low: str | None, high: str | None, bound: Bound) -> None:
    value = only(text)
    assert (value.written, value.bound, value.text) == (between(low, high), bound, text)


RANGES = [
    ("2-4x", ("2", "4"), "1.5", "4.5", "x"),
    ("8–16", ("8", "16"), "7.5", "16.5", ""),
    ("1.2–1.5 GiB", ("1.2", "1.5"), "1.15", "1.55", "GiB"),
    ("1.2 – 1.5 GiB", ("1.2", "1.5"), "1.15", "1.55", "GiB"),
    ("12 - 16 GB", ("12", "16"), "11.5", "16.5", "GB"),
    ("12 to 16 GB", ("12", "16"), "11.5", "16.5", "GB"),
    ("from 12 to 16 GB", ("12", "16"), "11.5", "16.5", "GB"),
    ("between 12 and 16 GB", ("12", "16"), "11.5", "16.5", "GB"),
    ("12~16GB", ("12", "16"), "11.5", "16.5", "GB"),
    ("0.5GB-1GB", ("0.5", "1"), "0.45", "1.5", "GB"),
    ("5%-10%", ("5", "10"), "4.5", "10.5", "%"),
    ("24-30h", ("24", "30"), "23.5", "30.5", "h"),
    ("24-30 hours", ("24", "30"), "23.5", "30.5", "hours"),
    ("10k–100k", ("10", "100"), "9.5", "105", "k"),
    ("500M–1B", ("0.5", "1"), "0.495", "1.5", "B"),
    ("90 s - 2 min", ("1.5", "2"), "89.5/60", "2.5", "min"),
    ("$20-30", ("20", "30"), "19.5", "30.5", "$"),
    ("$20-$30", ("20", "30"), "19.5", "30.5", "$"),
    ("$1.50-2.00/hour", ("1.5", "2"), "1.495", "2.005", "$/hour"),
    ("$3,000-3,500", ("3000", "3500"), "2950", "3550", "$"),
    ("~12–16 GB", ("12", "16"), "11.4", "16.8", "GB"),
    ("~500-800 MB", ("500", "800"), "475", "840", "MB"),
    ("~98-99%", ("98", "99"), "93.1", "103.95", "%"),
    ("+6-11%", ("6", "11"), "5.5", "11.5", "%"),
    ("−6–11%", ("-6", "-11"), "-11.5", "-5.5", "%"),
    ("-5 to 5%", ("-5", "5"), "-5.5", "5.5", "%"),
    ("**1.2**–**1.5** GiB", ("1.2", "1.5"), "1.15", "1.55", "GiB"),
    ("1.2â€“1.5 GiB", ("1.2", "1.5"), "1.15", "1.55", "GiB"),
]


@pytest.mark.parametrize(("text", "printed", "low", "high", "symbol"), RANGES)
def test_a_range_is_the_hull_of_its_rounded_ends(
    text: str, printed: tuple[str, str], low: str, high: str, symbol: str
) -> None:
    value = find_values(text)[0]
    numerator, _, divisor = low.partition("/")
    assert value.printed == tuple(Fraction(end) for end in printed)
    assert value.written == Interval(Fraction(numerator) / Fraction(divisor or 1), Fraction(high))
    assert value.unit == UNITS[symbol]
    assert parse_value(text.removeprefix("from ")) is not None


def test_a_range_over_two_ambiguous_units_holds_both_of_their_ratios() -> None:
    # 499.5 MB is 0.4995 decimal GB and 499.5/1024 = 0.4877… binary ones.
    value = only("512 MB – 1 GB")
    assert value.printed == (Fraction("0.512"), Fraction(1))
    assert value.written == Interval(Fraction("511.5") / 1024, Fraction("1.5"))


DIMENSIONS = [
    ("24G", Dimension.BYTES, "GB"),
    ("24 G", Dimension.BYTES, "GB"),
    ("512M", Dimension.BYTES, "MB"),
    ("512 B", Dimension.BYTES, "bytes"),
    ("24Gi", Dimension.BYTES, "GiB"),
    ("7 B", Dimension.COUNT, "B"),
    ("20.91 B", Dimension.COUNT, "B"),
    ("7.96 M", Dimension.NUMBER, "M"),
    ("40m", Dimension.SECONDS, "min"),
    ("3 d", Dimension.SECONDS, "days"),
    ("3600s", Dimension.SECONDS, "s"),
    ("3 times", Dimension.RATIO, "times"),
    ("1.3", Dimension.RATIO, ""),
    ("7,962,624", Dimension.COUNT, ""),
    ("10k", Dimension.NUMBER, "k"),
    ("320 training examples", Dimension.NUMBER, ""),
]


@pytest.mark.parametrize(("text", "dimension", "symbol"), DIMENSIONS)
def test_a_dimension_settles_what_is_ambiguous(text: str, dimension: Dimension, symbol: str) -> None:
    value = parse_value(text, dimension)
    assert value is not None
    assert (value.unit.symbol, value.unit.dimension) == (symbol, dimension)
    assert value.unit.readings == UNITS[symbol].readings


@pytest.mark.parametrize(
    ("text", "dimension"),
    [
        ("94 GB", Dimension.COUNT),
        ("7B", Dimension.BYTES),
        ("94", Dimension.BYTES),
        ("0.3", Dimension.SHARE),
        ("5%", Dimension.NUMBER),
        ("3x", Dimension.NUMBER),
        ("24G", Dimension.COUNT),
        ("$5", Dimension.NUMBER),
    ],
)
def test_a_dimension_refuses_the_others(text: str, dimension: Dimension) -> None:
    value = parse_value(text, dimension)
    # "7B" of bytes is seven bytes, spelt oddly; all else is refused.
    assert value is None or (text, value.unit.symbol) == ("7B", "bytes")


def test_a_heading_may_imply_the_unit_of_a_bare_number() -> None:
    value = parse_value("~24", Dimension.BYTES, implied=UNITS["GB"])
    assert value is not None
    assert (value.text, value.unit) == ("~24", UNITS["GB"])
    assert parse_value("24 MB", implied=UNITS["GB"]) == parse_value("24 MB")


@pytest.mark.parametrize(
    "text", ["320 examples", "~200 tokens", "21M trainable parameters", "10k–100k labeled prompts"]
)
def test_what_is_counted_is_no_part_of_the_value(text: str) -> None:
    value = only(text)
    assert value.text == text.split(" ", 1)[0]


def test_exact_values_are_for_arithmetic() -> None:
    assert exact_value(only("~94 GB")) == 94
    assert exact_value(only("3–6 GiB")) is None
    assert exact_interval(only("~3–6 GiB")) == between("3", "6")
    assert exact_interval(only("≥ 8 GB")) == between("8", None)
    assert exact_interval(only("−6–11%")) == between("-11", "-6")
