"""Readers of single values: what each accepts, and what YAML readers disagree about."""

from __future__ import annotations

import contextlib
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from toolkit.spec.yaml.node import Entries, Items, Scalar, typed
from toolkit.spec.yaml.scalar import (
    read_boolean,
    read_date,
    read_integer,
    read_number,
    read_text,
    untyped,
)

SURPRISES = (
    "12:30", "1:2:3", "1_000", "0o17", "017", "0x1F", "0b11", "2025-11-05",
    "yes", "no", "on", "off", "Y", "NO",
    "~", "", "null", "Null", ".inf", "-.INF", ".nan",
)  # fmt: skip


def quoted(text: str) -> Scalar:
    scalar = typed(text)
    scalar.plain = False
    return scalar


def code_of(error: pytest.ExceptionInfo[PydanticCustomError]) -> str:
    return error.value.type


@pytest.mark.parametrize("text", SURPRISES)
def test_surprises_are_no_numbers_and_no_truth_values(text: str) -> None:
    for read in (
        lambda raw: read_integer(raw, "a number"),
        lambda raw: read_number(raw, "a number"),
        read_boolean,
    ):
        with pytest.raises(PydanticCustomError) as error:
            read(typed(text))
        assert code_of(error) == "S106"
        assert "quotes" in str((error.value.context or {})["repair"])


@pytest.mark.parametrize("text", [text for text in SURPRISES if text not in ("~", "", "null", "Null")])
def test_surprises_are_text_where_text_is_asked_for(text: str) -> None:
    assert read_text(typed(text)) == text


@pytest.mark.parametrize("text", ["~", "", "null", "Null", "NULL"])
def test_nothing_is_no_text_unless_it_is_quoted(text: str) -> None:
    with pytest.raises(PydanticCustomError) as error:
        read_text(typed(text))
    assert code_of(error) == "S106"
    if text:
        assert read_text(quoted(text)) == text


def test_integers() -> None:
    assert read_integer(typed("0"), "n") == 0
    assert read_integer(typed("-7"), "n") == -7
    assert read_integer(typed("8"), "n", 1, 8) == 8
    for text, said in (("9", "9 is too large: the most that can be said is 8"), ("0", "0 is not n")):
        with pytest.raises(PydanticCustomError, match=said):
            read_integer(typed(text), "n", 1, 8)
    for wrong in ("+1", "1.0", "1e3", "1,000", "١٢", "1 000", "9" * 30):
        with pytest.raises(PydanticCustomError) as error:
            read_integer(typed(wrong), "n")
        assert code_of(error) == "S104"


@pytest.mark.parametrize(("text", "repair"), [("2k", "write 2048 or 2000"), ("1M", "write 1048576 or 1000000")])
def test_a_number_with_a_letter_is_written_out_for_whoever_meant_it(text: str, repair: str) -> None:
    with pytest.raises(PydanticCustomError) as error:
        read_integer(typed(text), "a positive integer")
    assert (error.value.context or {})["repair"] == repair
    with pytest.raises(PydanticCustomError) as error:
        read_integer(typed("2x"), "a positive integer")
    assert not (error.value.context or {}).get("repair")


def test_a_quoted_number_is_text() -> None:
    with pytest.raises(PydanticCustomError, match="is text") as error:
        read_integer(quoted("8"), "a positive integer")
    assert (error.value.context or {})["repair"] == "write 8 without quotes"


def test_numbers() -> None:
    assert read_number(typed("0.05"), "n") == 0.05
    assert read_number(typed("1e-5"), "n") == 1e-5
    for wrong in (".5", "5.", "1.5e", "nan", "inf", "Infinity", "1e999", "0.5x"):
        with pytest.raises(PydanticCustomError):
            read_number(typed(wrong), "n")


def test_only_true_and_false_are_truth_values() -> None:
    assert read_boolean(typed("true")) is True
    assert read_boolean(typed("false")) is False
    for wrong in ("True", "1", "wahr"):
        with pytest.raises(PydanticCustomError) as error:
            read_boolean(typed(wrong))
        assert code_of(error) == "S104"
    with pytest.raises(PydanticCustomError):
        read_boolean(quoted("true"))


def test_collections_are_no_values() -> None:
    for raw, name in ((Entries(), "a mapping"), (Items(), "a list")):
        for read in (read_text, read_boolean, read_date, lambda raw: read_integer(raw, "n")):
            with pytest.raises(PydanticCustomError, match=name):
                read(raw)


def test_dates() -> None:
    assert read_date(typed("2027-03-01")) == date(2027, 3, 1)
    assert read_date(quoted("2027-03-01")) == date(2027, 3, 1)
    for wrong in ("2027-3-1", "2027-02-30", "2027-03-01T00:00", "tomorrow", "٢٠٢٧-03-01"):
        with pytest.raises(PydanticCustomError):
            read_date(typed(wrong))


def test_untyped_values_are_what_all_readers_agree_on() -> None:
    written = ["1", "-2.5", "true", "null", "no", "1_0", "~", "0x1", "text"]
    values = [1, -2.5, True, None, "no", "1_0", "~", "0x1", "text"]
    assert [untyped(typed(text)) for text in written] == values
    assert untyped(quoted("1")) == "1"


@given(st.text(max_size=60), st.booleans())
def test_no_text_makes_a_reader_fail_otherwise(text: str, plain: bool) -> None:
    raw = typed(text)
    raw.plain = plain
    for read in (
        read_text,
        read_boolean,
        read_date,
        lambda raw: read_integer(raw, "n"),
        lambda raw: read_number(raw, "n"),
    ):
        with contextlib.suppress(PydanticCustomError):
            read(raw)


@pytest.mark.parametrize("text", ["1" * 2_000_000, "_" * 100_000 + "x", "1_" * 50_000 + "x", "1:" * 50_000])
def test_long_input_is_refused_before_it_is_converted(text: str) -> None:
    for read in (read_boolean, lambda raw: read_number(raw, "n")):
        with pytest.raises(PydanticCustomError):
            read(typed(text))
