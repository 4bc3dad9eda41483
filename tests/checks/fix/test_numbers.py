"""The one number that a false claim should print, if there is one."""

from dataclasses import replace
from fractions import Fraction

import pytest

from toolkit.checks.fix.numbers import number_fix
from toolkit.checks.judgement import Acknowledgement, Claimed, Ignored, Judgement, Outcome, Verdict
from toolkit.documents.document import Document
from toolkit.evidence.evidence import Evidence, EvidenceKind
from toolkit.finding import Place
from toolkit.quantity import Interval, parse_value

GB = 10**9


def judgement(text: str, truth: Interval, error: Fraction = Fraction(0)) -> tuple[Judgement, Document]:
    """A claim that a line of a document makes with a text, and that disagrees with what is true."""
    value = parse_value(text.rpartition("=")[2].strip() or text)
    assert value is not None
    claimed = Claimed(text, value.unit.dimension, value.unit.symbol, value.readings())
    outcome = Outcome(Verdict.DISAGREES, "", claimed, (Evidence(EvidenceKind.EXACT, truth, error),))
    line = f"it says {text} here"
    place = Place("guide.md", 1, 9, 1, 9 + len(text))
    return Judgement("one", place, Place("claims.yaml"), line, None, "weights", "M302", outcome), Document(
        "guide.md", line
    )


def corrected(text: str, truth: Interval, error: Fraction = Fraction(0)) -> str | None:
    """The text as it would be corrected."""
    one, document = judgement(text, truth, error)
    fix = number_fix(one, document)
    if fix is None:
        return None
    line = document.text
    assert line[fix.start : fix.end] == fix.old
    return (line[: fix.start] + fix.new + line[fix.end :])[len("it says ") : -len(" here")]


@pytest.mark.parametrize(
    ("text", "truth", "anew"),
    [
        ("~28 MiB", 30 * 2**20, "~30 MiB"),
        ("**11.67 GiB**", 12 * 2**30, "**12.00 GiB**"),
        ("11,049,066,048", 20_914_757_184, "20,914,757,184"),
        ("7000000000", 7_615_616_512, "7600000000"),
        ("7,000,000,001", 7_615_616_512, "7,615,616,512"),
        ("100 MiB", 94 * 2**20, "94 MiB"),
        ("7.0B", 7_615_616_512, "7.6B"),
        ("0.07%", Fraction(381, 1_000_000), "0.04%"),
        ("1 + 1 = ~3 MiB", 2 * 2**20, "1 + 1 = ~2 MiB"),
        ("about 900 MiB", 1234 * 2**20, "about 1230 MiB"),
        ("1,900 MiB", 123 * 2**20, "120 MiB"),
    ],
)
def test_digits_alone_change(text: str, truth: int | Fraction, anew: str) -> None:
    assert corrected(text, Interval.point(truth)) == anew


@pytest.mark.parametrize(
    ("text", "truth"),
    [
        ("28 GB", Interval.point(30 * GB)),  # 30 GB, or 28 GiB: two readings, two numbers
        ("20-28 MiB", Interval.point(30 * 2**20)),  # a range
        ("at least 28 MiB", Interval.point(20 * 2**20)),  # a bound
        ("up to 28 MiB", Interval.point(30 * 2**20)),
        ("28 MiB", Interval(Fraction(30 * 2**20), Fraction(40 * 2**20))),  # no single truth
        ("28 MiB", Interval(Fraction(30 * 2**20), None)),
        ("1.5 × 10^9", Interval.point(2_000_000_000)),  # a power
        ("28 GiB", Interval.point(1000)),  # nothing is left of it
        ("28 MiB", Interval.point(28 * 2**20)),  # what it says already
    ],
)
def test_what_is_not_one_number_stays(text: str, truth: Interval) -> None:
    assert corrected(text, truth) is None


def test_what_is_known_to_three_percent_is_written_only_where_that_is_one_number() -> None:
    truth = Interval.point(30 * 2**20)
    assert corrected("28 MiB", truth, Fraction(3, 100)) is None
    assert corrected("28 MiB", truth, Fraction(1, 100)) == "30 MiB"
    assert corrected("28.0 MiB", truth, Fraction(1, 100)) is None


@pytest.mark.parametrize("asked", [True, False])
def test_whoever_answers_for_a_number_is_asked(asked: bool) -> None:
    one, document = judgement("28 MiB", Interval.point(30 * 2**20))
    acknowledged = replace(one, acknowledged=Acknowledgement("as in the source"))
    ignored = replace(one, ignored=Ignored("as in the source", None, one.place))
    for answered in (acknowledged, ignored):
        assert (number_fix(answered, document, acknowledged=asked) is not None) is asked
