"""What holds of every report, whatever stands in documents and specs."""

import json
import re
from dataclasses import replace
from datetime import date
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.checks.coverage import coverages
from toolkit.checks.judgement import Acknowledgement, Claimed, Ignored, Judgement, Outcome, Verdict
from toolkit.checks.result import CheckResult, Figure, SpecReport
from toolkit.evidence.evidence import Evidence, EvidenceKind
from toolkit.finding import Finding, Place, Related, Severity, Suggestion
from toolkit.quantity import Dimension, Interval
from toolkit.report.coverage import coverage_text
from toolkit.report.github import LEVELS, SHOWN_PER_LEVEL, check_github
from toolkit.report.json import check_json, number
from toolkit.report.terminal import Paint, line
from toolkit.report.text import check_text, summary
from toolkit.spec.document_spec import Spec

STEERING = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")

HOSTILE = st.text(
    st.one_of(st.sampled_from("\x1b\n\r\u2028\u202e\u2066:#[%,\x00\x07\x85 a"), st.characters()), max_size=40
) | st.sampled_from(
    [
        "::error::x",
        " ::add-mask::x",
        "\n::error::x",
        "##[error]x",
        "\x1b]0;x\x07",
        "%0A::error::x",
        "<script>",
    ]
)


def judgement(text: str = "8 GB", verdict: Verdict = Verdict.DISAGREES, **changes: object) -> Judgement:
    outcome = Outcome(
        verdict,
        text,
        Claimed(text, Dimension.BYTES, "GB", {"decimal": Interval(Fraction(15, 2), Fraction(17, 2))}),
        (Evidence(EvidenceKind.COMPUTED, Interval.point(9), Fraction(1, 10), text, (text,)),),
        text,
        text,
    )
    place = Place("document.md", 3, 5, 3, 9)
    made = Judgement("id", place, Place("claims.yaml", 2), text, text, "weights", "M302", outcome)
    return replace(made, **changes)


def result_of(*judgements: Judgement, findings: tuple[Finding, ...] = ()) -> CheckResult:
    spec = Spec(Path("claims.yaml"), "claims.yaml", "slug", Path("document.md"), ())
    return CheckResult((SpecReport(spec, judgements, findings),))


@given(HOSTILE, HOSTILE, st.sampled_from(list(Verdict)))
def test_no_text_steers_a_terminal_or_a_runner(text: str, path: str, verdict: Verdict) -> None:
    place = Place(path, 1, 1)
    claim = judgement(text, verdict, acknowledged=Acknowledgement(text, date(2027, 1, 1)))
    ignored = judgement(text, verdict, ignored=Ignored(text, date(2027, 1, 1), place))
    related = (Related(place, text), Related(place, text))
    suggestion = Suggestion(text, (("=", text), ("-", text), ("+", text)))
    figures = (Figure(place, text, "weights", covered=False),)
    findings = (
        Finding(place, "D201", text, text, related=related[:1], suggestion=suggestion),
        Finding(place, "D202", text, text, related=related),
    )
    result = result_of(claim, replace(claim, place=place), ignored, findings=findings)
    result = replace(result, reports=(replace(result.reports[0], figures=figures),))
    shown = coverage_text(coverages(result), Paint(), every=True) + check_text(result, verbose=True)
    assert not STEERING.search(shown)
    for one in shown.split("\n"):
        assert not one.lstrip().startswith("::")
        assert "##[" not in one
    for one in check_github(result).splitlines():
        assert one.startswith(tuple(f"::{level} " for level in LEVELS))
        assert not STEERING.search(one)
        assert one.count("::") >= 2
        assert "file=" in one.split("::")[1]
    said = json.loads(check_json(result))
    assert said["claims"][0]["quote"] == said["claims"][2]["ignored"]["reason"] == text
    assert said["findings"][0]["suggestion"]["text"] == said["findings"][1]["related"][1]["text"] == text
    assert said["coverage"][0]["open"][0]["text"] == text


@given(HOSTILE)
def test_a_line_is_one_line(text: str) -> None:
    assert len(line(text).splitlines()) <= 1


def test_properties_and_messages_are_escaped_as_github_asks() -> None:
    hostile = judgement('50 % :: of\r\n"x", y', place=Place("a,b:c%d.md", 1, 1))
    [annotation] = check_github(result_of(hostile)).splitlines()
    assert annotation.startswith("::error file=a%2Cb%3Ac%25d.md,line=1,col=1,title=M302 weights disagrees::")
    assert "50 %25 ::" in annotation


@pytest.mark.parametrize(("count", "shown"), [(10, 10), (11, 10), (250, 10)])
def test_github_gets_ten_of_a_level_and_the_total(count: int, shown: int) -> None:
    known = Acknowledgement("known")
    claims = [judgement() for _ in range(count)] + [judgement(acknowledged=known) for _ in range(count)]
    lines = check_github(result_of(*claims)).splitlines()
    for level in ("error", "notice"):
        mine = [one for one in lines if one.startswith(f"::{level}")]
        assert len(mine) == shown
        assert shown <= SHOWN_PER_LEVEL
        if count > SHOWN_PER_LEVEL:
            assert f"{count - 9} more {level}s, {count} {level}s in all; full list in the log" in mine[-1]


def test_levels_of_annotations() -> None:
    claims = [
        judgement(),
        judgement(acknowledged=Acknowledgement("known")),
        judgement(verdict=Verdict.DEPENDS),
        judgement(verdict=Verdict.AGREES),
        judgement(verdict=Verdict.UNCHECKED),
    ]
    findings = (
        Finding(Place("a.md"), "D201", "lost"),
        Finding(Place("a.md"), "D207", "both", severity=Severity.WARNING),
    )
    result = result_of(*claims, findings=findings)

    def levels(*fail_on: Verdict) -> list[str]:
        return [one.split(" ")[0].strip(":") for one in check_github(result, frozenset(fail_on)).splitlines()]

    assert levels() == ["error", "error", "warning", "notice", "notice"]
    assert levels(Verdict.DEPENDS) == ["error", "error", "error", "warning", "notice"]
    assert levels(Verdict.DEPENDS, Verdict.UNCHECKED).count("error") == 4


def test_claims_have_every_field_of_the_contract() -> None:
    said = json.loads(check_json(result_of(judgement(acknowledged=Acknowledgement("known")))))
    [claim] = said["claims"]
    for name in (
        *("id", "document", "line", "column", "quote", "scenario", "quantity", "code", "claimed", "evidence"),
        *("verdict", "boundary", "reason", "repair", "acknowledged"),
    ):
        assert name in claim
    assert claim["claimed"] == {
        "text": "8 GB",
        "low": 7.5,
        "high": 8.5,
        "unit": "bytes",
        "symbol": "GB",
        "readings": {"decimal": {"low": 7.5, "high": 8.5}},
    }
    assert claim["evidence"] == [
        {"kind": "computed", "low": 9, "high": 9, "error": 0.1, "stack": "8 GB", "facts": ["8 GB"]}
    ]
    assert claim["acknowledged"] == {"reason": "known", "until": None}
    assert said["counts"]["disagrees"] == said["counts"]["acknowledged"] == 1


@pytest.mark.parametrize(
    ("exact", "written"),
    [
        (None, None),
        (Fraction(20_914_757_184), 20_914_757_184),
        (Fraction(10**30), 10**30),
        (Fraction(1, 4), 0.25),
        (Fraction(10**400 + 1, 3), round(Fraction(10**400 + 1, 3))),
    ],
)
def test_numbers_are_exact_or_floats(exact: Fraction | None, written: float | None) -> None:
    assert number(exact) == written
    assert type(number(exact)) is type(written)


def test_summary_counts_every_verdict() -> None:
    claims = [judgement(verdict=verdict) for verdict in Verdict] + [judgement(acknowledged=Acknowledgement("x"))]
    assert (
        summary(result_of(*claims))
        == "5 claims in 1 document: 1 agrees, 2 disagree (1 acknowledged), 1 depends, 1 unchecked; 0 findings"
    )


def test_only_verbose_shows_what_agrees() -> None:
    result = result_of(judgement(verdict=Verdict.AGREES), judgement(verdict=Verdict.UNCHECKED))
    assert len(check_text(result).splitlines()) == 1
    assert "agrees:" in check_text(result, verbose=True)


def test_colour_only_where_it_is_wanted() -> None:
    result = result_of(judgement())
    assert "\x1b[31mdisagrees\x1b[0m" in check_text(result, paint=Paint(on=True))
    assert "\x1b" not in check_text(result)
