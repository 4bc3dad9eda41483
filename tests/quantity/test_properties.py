"""What holds for every number, unit and text."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import assume, given
from hypothesis import strategies as st

from toolkit.quantity import (
    UNITS,
    Bound,
    Dimension,
    Interval,
    display_bytes,
    display_interval,
    display_money,
    display_number,
    display_seconds,
    display_share,
    find_values,
    parse_mark,
    parse_value,
)
from toolkit.quantity.markup import plain_text

exact = st.fractions(min_value=0, max_value=10**15, max_denominator=10**6)
positive = st.fractions(min_value=Fraction(1, 10**9), max_value=10**18, max_denominator=10**9)
symbols = st.sampled_from(
    sorted(symbol for symbol in UNITS if "$" not in symbol and symbol not in {"times", "x", "X", "×"})
)
numbers = st.one_of(
    st.integers(0, 10**15).map(str),
    st.integers(0, 10**15).map("{:,}".format),
    st.decimals(0, 10**9, places=3).map(str),
)
PIECES = (
    "7", "28", "4000", "1,120", "0.07", ".5", "1.2.3", "1,2", "007", "10^9", "1e9", "10⁹", "2025-11-05", "~",
    "≈", "about ", "up to ",
    "at least ", ">", "<", "≥", "between ", " and ", " to ", "from ", "-", "–", " - ", "+", "$", "€", "%",
    " %", "GB", " GB", "GiB", " MB",
    "7B", "M", "k", "x", "×", " × ", "h", " hours", " min", "/hour", " per hour", "or more", " or less", "**",
    "*", "`", "_", "<b>", "</b>",
    "<sup>", "</sup>", "&nbsp;", "&lt;", "\\", "\\approx", "â€“", "√ó", " ", "  ", "\n", "\n\n", "|", "(",
    ")", "=", ".", ",", ":", "/",
    "tokens", "A100", "4-bit", "Qwen2.5-7B", "±", "é", "显存", "✅", "❌", "not ", "fits",
)  # fmt: skip
texts = st.one_of(st.text(max_size=200), st.lists(st.sampled_from(PIECES), max_size=30).map("".join))


def rounded(number: Fraction, places: int) -> str:
    """A number as somebody prints it who rounds it to some decimals (0 and up) or powers of ten (below 0)."""
    scaled = round(number * Fraction(10) ** places)
    if places <= 0:
        return str(scaled * 10**-places)
    return f"{scaled // 10**places}.{scaled % 10**places:0{places}d}"


@given(exact, st.integers(0, 6))
def test_a_number_lies_in_what_it_is_printed_as(number: Fraction, places: int) -> None:
    value = parse_value(rounded(number, places))
    assert value is not None
    assert number in value.written


@given(st.integers(10, 10**15), st.integers(2, 6))
def test_an_integer_lies_in_what_it_is_printed_as(number: int, digits: int) -> None:
    text = rounded(Fraction(number), digits - len(str(number)) if digits < len(str(number)) else 0)
    for printed in (text, f"{int(text):,}"):
        value = parse_value(printed)
        assert value is not None
        assert number in value.written


@given(numbers, symbols)
def test_the_printed_number_lies_inside_its_interval(number: str, symbol: str) -> None:
    value = parse_value(f"{number} {symbol}", UNITS[symbol].dimension)
    assert value is not None
    assert value.printed == (Fraction(number.replace(",", "")),)
    assert value.printed[0] in value.written
    assert value.unit.readings == UNITS[symbol].readings


@given(numbers)
def test_hedges_and_bounds_only_widen(number: str) -> None:
    plain, hedged = parse_value(f"{number} GB"), parse_value(f"~{number} GB")
    least, most = parse_value(f">{number} GB"), parse_value(f"up to {number} GB")
    assert plain is not None
    assert hedged is not None
    assert least is not None
    assert most is not None
    assert plain.written.low is not None
    assert plain.written.high is not None
    assert plain.written.low in hedged.written
    assert plain.written.high in hedged.written
    assert (
        Interval(plain.printed[0] * Fraction(95, 100), plain.printed[0] * Fraction(105, 100)).hull(plain.written)
        == hedged.written
    )
    assert least.written == Interval(plain.written.low, None)
    assert most.written == Interval(None, plain.written.high)


@given(numbers, numbers, st.sampled_from(["-", "–", " – ", " to ", "~"]), st.booleans())
def test_a_range_is_the_hull_of_its_ends(first: str, second: str, dash: str, hedged: bool) -> None:
    low, high = sorted((first, second), key=lambda text: Fraction(text.replace(",", "")))
    lead = "~" if hedged else ""
    value = parse_value(f"{lead}{low}{dash}{high} GiB")
    ends = [parse_value(f"{lead}{end} GiB") for end in (low, high)]
    assert value is not None
    assert ends[0] is not None
    assert ends[1] is not None
    assert value.written == ends[0].written.hull(ends[1].written)
    assert value.printed == ends[0].printed + ends[1].printed


@given(texts)
def test_no_text_raises_and_every_value_is_where_it_says(text: str) -> None:
    values = find_values(text)
    end = 0
    for value in values:
        assert end <= value.start < value.end <= len(text)
        assert text[value.start : value.end] == value.text
        assert 1 <= len(value.printed) <= 2
        assert value.bound is Bound.POINT or None in (value.written.low, value.written.high)
        assert all(number in value.written for number in value.printed[:1]) or value.bound is not Bound.POINT
        end = value.end


@given(texts, st.sampled_from([None, *Dimension]))
def test_a_text_that_is_one_value_is_its_first(text: str, dimension: Dimension | None) -> None:
    value = parse_value(text, dimension)
    assert value is None or dimension is None or value.unit.dimension is dimension
    if value is not None and dimension is None:
        assert find_values(text)[:1] == [value]


@given(texts)
def test_a_found_value_reads_the_same_alone(text: str) -> None:
    for value in find_values(text):
        alone = parse_value(value.text)
        assume(alone is not None)
        assert alone is not None
        assert (alone.printed, alone.written, alone.unit) == (value.printed, value.written, value.unit)


@given(texts)
def test_plain_text_keeps_the_place_of_each_character(text: str) -> None:
    plain = plain_text(text)
    assert len(plain.places) == len(plain.ends) == len(plain.text) + 1
    assert list(plain.places) == sorted(plain.places)
    for shown, start, end in zip(plain.text, plain.places, plain.ends, strict=False):
        assert end - start > 1 or text[start] == shown or shown in "|^"


@given(texts)
def test_marks_never_raise(text: str) -> None:
    parse_mark(text)


@given(positive, st.sampled_from(["decimal", "binary"]))
def test_displayed_bytes_hold_the_bytes(number: Fraction, reading: str) -> None:
    text = display_bytes(number, "decimal" if reading == "decimal" else "binary")
    value = parse_value(text, Dimension.BYTES)
    assert value is not None, text
    readings = value.readings()
    assert number in readings.get(reading, readings.get("exact", Interval(None, None)))


@given(positive)
def test_displayed_amounts_hold_the_amounts(number: Fraction) -> None:
    for text, dimension in (
        (display_number(number), Dimension.COUNT),
        (display_share(number / 10**18), Dimension.SHARE),
        (display_seconds(number), Dimension.SECONDS),
        (display_money(number), Dimension.MONEY),
    ):
        value = parse_value(text, dimension)
        assert value is not None, text
        assert (number / 10**18 if dimension is Dimension.SHARE else number) in value.readings()["exact"], text


@given(positive, positive)
def test_displayed_intervals_hold_their_ends(first: Fraction, second: Fraction) -> None:
    interval = Interval(min(first, second), max(first, second))
    text = display_interval(interval, Dimension.BYTES, "binary")
    value = parse_value(text, Dimension.BYTES)
    if value is not None:
        held = value.readings()["exact"]
        assert interval.low is not None
        assert interval.high is not None
        assert interval.low in held
        assert interval.high in held
    assert (first == second) == ("–" not in text)
