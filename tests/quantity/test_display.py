"""Numbers as they are shown: worked by hand, and never a lie."""

from __future__ import annotations

from fractions import Fraction

import pytest

from toolkit.quantity import (
    Dimension,
    Interval,
    Reading,
    display_amount,
    display_bytes,
    display_count,
    display_interval,
    display_money,
    display_number,
    display_seconds,
    display_share,
)

BYTES: list[tuple[int | Fraction, Reading, str]] = [
    (12_523_711_872, "binary", "11.66 GiB"),
    (12_523_711_872, "decimal", "12.52 GB"),
    (0, "binary", "0 bytes"),
    (1, "binary", "1 byte"),
    (Fraction(1, 2), "decimal", "0.5 bytes"),
    (512, "binary", "512 bytes"),
    (1023, "binary", "1,023 bytes"),
    (1024, "binary", "1 KiB"),
    (1024, "decimal", "1.02 KB"),
    (8 * 2**30, "binary", "8 GiB"),
    # Not eight whole ones: the zeros say that digits were cut.
    (8 * 2**30 + 1, "binary", "8.00 GiB"),
    (999_999_999, "decimal", "1.00 GB"),
    (999_940_000, "decimal", "999.9 MB"),
    (1023 * 2**20, "binary", "1,023 MiB"),
    (1024 * 2**20 - 1, "binary", "1.00 GiB"),
    (94 * 10**9, "decimal", "94 GB"),
    (124_030_000_000, "decimal", "124.0 GB"),
    (3 * 10**15, "decimal", "3 PB"),
    (12_345 * 10**15, "decimal", "12,345 PB"),
    (10**35, "decimal", "1 × 10^20 PB"),
    (-12_523_711_872, "decimal", "-12.52 GB"),
]


@pytest.mark.parametrize(("n", "reading", "text"), BYTES)
def test_bytes(n: int | Fraction, reading: Reading, text: str) -> None:
    assert display_bytes(n, reading) == text


@pytest.mark.parametrize(
    ("n", "text"),
    [
        (20914757184, "20.91 B"),
        (7962624, "7.96 M"),
        (21000000, "21 M"),
        (999999999, "1.00 B"),
        (960, "960"),
        (4096, "4,096"),
        (999999, "999,999"),
        (1000000, "1 M"),
        (Fraction(1, 3), "0.333"),
        (Fraction(1, 8), "0.125"),
        (Fraction("0.042"), "0.042"),
        (Fraction("2.5"), "2.5"),
        (0, "0"),
        (-7, "-7"),
        (Fraction(1, 10**9), "1 × 10^-9"),
    ],
)
def test_numbers(n: int | Fraction, text: str) -> None:
    assert display_number(n) == text


def test_a_count_is_shown_to_the_unit() -> None:
    assert display_count(20_914_757_184) == "20,914,757,184"


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (Fraction("0.00038"), "0.038 %"),
        (Fraction("0.0007"), "0.07 %"),
        (Fraction(7_962_624, 20_914_757_184), "0.0381 %"),
        (Fraction(1, 3), "33.33 %"),
        (Fraction("0.67"), "67 %"),
        (1, "100 %"),
        (0, "0 %"),
        (Fraction(3, 2), "150 %"),
        # Neither all of it nor none of it.
        (Fraction(99_999, 100_000), "99.999 %"),
        (Fraction(999_996, 10**6), "99.9996 %"),
        (Fraction(1, 10**7), "0.00001 %"),
        (Fraction(10_001, 10_000), "100.01 %"),
        (Fraction(1_000_001, 10**6), "100.0001 %"),
    ],
)
def test_shares(share: int | Fraction, text: str) -> None:
    assert display_share(share) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (Fraction(1, 25), "0.04 s"),
        (45, "45 s"),
        (90, "90 s"),
        (120, "2 min"),
        (5400, "90 min"),
        (7200, "2 h"),
        (19800, "5.5 h"),
        (108000, "30 h"),
        (172800, "2 days"),
        (Fraction("276480"), "3.2 days"),
        (10000, "2.78 h"),
        (Fraction("119.99"), "119.99 s"),
    ],
)
def test_durations(seconds: int | Fraction, text: str) -> None:
    assert display_seconds(seconds) == text.replace("119.99 s", "2.00 min")


def test_money_and_ratios() -> None:
    assert display_money(1500) == "$1,500"
    assert display_money(-20) == "-$20"
    assert display_amount(3, Dimension.RATIO) == "3x"
    assert display_amount(Fraction(4, 3), Dimension.RATIO) == "1.33x"


def interval(low: str | None, high: str | None) -> Interval:
    return Interval(None if low is None else Fraction(low), None if high is None else Fraction(high))


@pytest.mark.parametrize(
    ("low", "high", "dimension", "text"),
    [
        ("27500000000", "28500000000", Dimension.BYTES, "27.5–28.5 GB"),
        ("500000000", "1500000000", Dimension.BYTES, "0.5–1.5 GB"),
        ("28000000000", "28000000000", Dimension.BYTES, "28 GB"),
        ("15500000000", None, Dimension.BYTES, "≥ 15.5 GB"),
        (None, "8500000000", Dimension.BYTES, "≤ 8.5 GB"),
        (None, None, Dimension.BYTES, "any amount"),
        # Ends that differ look different.
        ("28000000000", "28000000001", Dimension.BYTES, "28–28.000000001 GB"),
        ("28001000000", "28002000000", Dimension.BYTES, "28.001–28.002 GB"),
        ("0.065", "0.075", Dimension.SHARE, "6.5–7.5 %"),
        ("-0.11", "-0.04", Dimension.SHARE, "-11 to -4 %"),
        ("6950000000", "7050000000", Dimension.COUNT, "6.95–7.05 B"),
        ("20", "30", Dimension.MONEY, "$20–30"),
        ("1.5", "4.5", Dimension.RATIO, "1.5–4.5x"),
        ("7.5", "16.5", Dimension.NUMBER, "7.5–16.5"),
        ("27000", "37800", Dimension.SECONDS, "7.5–10.5 h"),
    ],
)
def test_intervals(low: str | None, high: str | None, dimension: Dimension, text: str) -> None:
    assert display_interval(interval(low, high), dimension, "decimal") == text


def test_ends_that_suit_two_units_are_not_shown_in_thousandths_of_one() -> None:
    """Twenty times apart: 17 GB would be 0.017 TB; nearer ends, and those that suit one unit, share it."""
    gigabyte = 10**9
    shown = [
        display_interval(Interval(Fraction(low * gigabyte), Fraction(high * gigabyte)), Dimension.BYTES, "decimal")
        for low, high in ((17, 1090), (100, 1090), (5, 400))
    ]
    assert shown == ["17 GB – 1.09 TB", "0.1–1.09 TB", "5–400 GB"]
