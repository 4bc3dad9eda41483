"""`toolkit explain`: every code and every row has its words."""

import json
import re
from fractions import Fraction

import pytest

from tests.cli.command import run
from toolkit.checks.registry import CHECKERS
from toolkit.codes import CODES
from toolkit.facts.accuracy import known_error
from toolkit.memory.rows.registry import ROWS

KNOWN = re.compile(r"Known to ([0-9.]+) %")


@pytest.mark.parametrize("name", [*CODES, *(row.name for row in ROWS)])
def test_every_code_and_row_is_explained(capsys: pytest.CaptureFixture[str], name: str) -> None:
    ran = run(capsys, "explain", name)
    assert ran.code == 0
    assert ran.out.startswith(name)


@pytest.mark.parametrize("code", [*(checker.code for checker in CHECKERS.values()), "K901", "K902"])
def test_every_code_that_a_claim_may_carry_is_known(code: str) -> None:
    assert code in CODES


@pytest.mark.parametrize("name", [row.name for row in ROWS])
def test_every_row_says_its_formula_and_source(name: str) -> None:
    [row] = [row for row in ROWS if row.name == name]
    assert row.formula
    assert row.source


def test_errors_in_explanations_are_the_known_ones() -> None:
    """An explanation that says how well a quantity is known says what `toolkit check` goes by."""
    said = {code: Fraction(found[1]) / 100 for code, one in CODES.items() if (found := KNOWN.search(one.why))}
    assert said == {"M302": known_error("computed", "weights"), "M305": known_error("computed", "activations")}


def test_all_is_every_one_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    entries = json.loads(run(capsys, "explain", "--all", "--format", "json").out)
    assert [entry.get("code") or entry["row"] for entry in entries] == [*CODES, *(row.name for row in ROWS)]


def test_letter_case_does_not_matter(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "explain", "s101").out.startswith("S101")


@pytest.mark.parametrize(("name", "hint"), [("S1010", "S101"), ("kv_cahce", "kv_cache"), ("\x1b[31m", "--all")])
def test_an_unknown_name_is_two(capsys: pytest.CaptureFixture[str], name: str, hint: str) -> None:
    ran = run(capsys, "explain", name)
    assert ran.code == 2
    assert hint in ran.err
    assert "\x1b" not in ran.err
    assert run(capsys, "explain").code == 2
