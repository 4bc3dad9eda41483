"""What the standards for build servers and code scanning ask of the reports that follow them."""

import json
from datetime import date
from xml.etree import ElementTree

import pytest
from hypothesis import given

from tests.report.test_check_reports import HOSTILE, STEERING, judgement, result_of
from toolkit.checks.judgement import Acknowledgement, Ignored, Verdict
from toolkit.finding import Finding, Place, Severity
from toolkit.report.junit import check_junit
from toolkit.report.sarif import check_sarif

DEPENDS = frozenset({Verdict.DEPENDS})
PLACE = Place("document.md", 3, 5, 3, 9)


def sarif_results(*claims: object, findings: tuple[Finding, ...] = (), **how: object) -> list[dict[str, object]]:
    said = json.loads(check_sarif(result_of(*claims, findings=findings), **how))
    return said["runs"][0]["results"]


def cases(*claims: object, findings: tuple[Finding, ...] = (), **how: object) -> list[ElementTree.Element]:
    return list(ElementTree.fromstring(check_junit(result_of(*claims, findings=findings), **how)).iter("testcase"))


def test_verdicts_have_the_kinds_of_sarif_and_only_failures_have_a_level() -> None:
    claims = [judgement(verdict=verdict) for verdict in Verdict]
    shown = [(one["kind"], one["level"]) for one in sarif_results(*claims, verbose=True)]
    assert shown == [("pass", "none"), ("fail", "error"), ("review", "none"), ("open", "none")]
    assert [one["kind"] for one in sarif_results(*claims)] == ["fail", "review"]
    gated = sarif_results(*claims, fail_on=DEPENDS)
    assert [(one["kind"], one["level"]) for one in gated] == [("fail", "error")] * 2


def test_what_somebody_answers_for_is_suppressed_with_the_reason() -> None:
    known = judgement(acknowledged=Acknowledgement("known since June", date(2027, 1, 1)))
    ignored = judgement(ignored=Ignored("an example", None, PLACE))
    first, second, third = sarif_results(known, ignored, judgement())
    assert [first["level"], second["level"], third["level"]] == ["note", "note", "error"]
    assert first["suppressions"] == [{"kind": "external", "status": "accepted", "justification": "known since June"}]
    assert second["suppressions"] == [{"kind": "inSource", "status": "accepted", "justification": "an example"}]
    assert third["suppressions"] == []


def test_sarif_places_count_from_one_and_paths_are_uris() -> None:
    [one] = sarif_results(judgement(place=Place("docs/my guide#1.md", 3, 5, 4, 9)))
    where = one["locations"][0]["physicalLocation"]
    assert where["artifactLocation"] == {"uri": "docs/my%20guide%231.md", "uriBaseId": "%SRCROOT%"}
    assert where["region"] == {"startLine": 3, "startColumn": 5, "endLine": 4, "endColumn": 9}


def test_a_claim_keeps_its_fingerprint_when_it_moves() -> None:
    [one], [moved] = sarif_results(judgement()), sarif_results(judgement(place=Place("document.md", 30, 1)))
    assert one["partialFingerprints"] == moved["partialFingerprints"]


def test_every_rule_that_a_result_names_is_described_at_its_index() -> None:
    findings = (Finding(PLACE, "D201", "lost", severity=Severity.WARNING), Finding(PLACE, "S101", "no YAML"))
    said = json.loads(check_sarif(result_of(judgement(), findings=findings)))["runs"][0]
    rules = said["tool"]["driver"]["rules"]
    assert [one["level"] for one in said["results"]] == ["warning", "error", "error"]
    assert all(rules[one["ruleIndex"]]["id"] == one["ruleId"] for one in said["results"])
    assert all(rule["shortDescription"]["text"] and rule["help"]["text"] for rule in rules)


def test_junit_counts_what_fails_what_could_not_be_read_and_what_is_neither() -> None:
    findings = (Finding(PLACE, "D201", "lost"), Finding(PLACE, "D202", "twice", severity=Severity.NOTE))
    claims = [judgement(verdict=verdict) for verdict in Verdict]
    top = ElementTree.fromstring(check_junit(result_of(*claims, findings=findings)))
    expected = {"tests": "6", "failures": "1", "errors": "1", "skipped": "2"}
    [suite] = top
    assert {name: top.get(name) for name in expected} == {name: suite.get(name) for name in expected} == expected
    assert [[child.tag for child in one] for one in suite] == [
        ["error"], ["system-out"], ["system-out"], ["failure"], ["skipped"], ["skipped"],
    ]  # fmt: skip
    failure = suite[3][0]
    assert (failure.get("type"), failure.get("message")) == ("M302", '"8 GB" disagrees')
    assert "reason: 8 GB" in (failure.text or "")


def test_junit_shows_an_acknowledged_claim_as_skipped_and_a_gating_one_as_failed() -> None:
    known = judgement(acknowledged=Acknowledgement("known"))
    [skipped], [failed] = cases(known), cases(judgement(verdict=Verdict.DEPENDS), fail_on=DEPENDS)
    assert [child.tag for child in skipped] == ["skipped"]
    assert "acknowledged: known" in (skipped[0].text or "")
    assert [child.tag for child in failed] == ["failure"]


@pytest.mark.parametrize("letter", ["\ufffe", "\uffff", "\ud800", "\x00", "\x0b"])
def test_junit_is_xml_whatever_a_document_says(letter: str) -> None:
    [case] = cases(judgement(f"8{letter} GB"))
    assert (case[0].get("message") or "").startswith('"8')


@given(HOSTILE, HOSTILE)
def test_no_text_of_a_stranger_steers_what_reads_the_reports(text: str, path: str) -> None:
    place = Place(path, 1, 1)
    finding = Finding(place, "D201", text, text)
    result = result_of(judgement(text, place=place, acknowledged=Acknowledgement(text)), findings=(finding,))
    said = json.loads(check_sarif(result))
    for one in said["runs"][0]["results"]:
        assert not STEERING.search(one["message"]["text"])
        assert one["locations"][0]["physicalLocation"]["artifactLocation"]["uri"].isascii()
    assert "[link](" not in check_sarif(result_of(judgement("[link](javascript:x)")))
    assert len(list(ElementTree.fromstring(check_junit(result)).iter("testcase"))) == 2
