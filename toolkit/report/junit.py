"""The check as JUnit's XML, which build servers read: a suite for each document, a case for each claim.

Jenkins, GitLab and others read the same elements (llg.cubic.org/docs/junit): a `failure` is a claim that gates, an
`error` something at which the check could not look, and `skipped` a claim that is neither true nor false, with why.
"""

from __future__ import annotations

import re
from collections import defaultdict
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from toolkit.checks.details import claim_details, finding_details, verdict_text
from toolkit.checks.judgement import Judgement, Verdict
from toolkit.checks.result import CheckResult, gates
from toolkit.finding import Finding, Severity, printable

_NOT_XML = re.compile("[\ufffe\uffff]")
"""What no XML 1.0 may contain (2.2 Characters), and `printable` lets through."""


def check_junit(result: CheckResult, fail_on: frozenset[Verdict] = frozenset()) -> str:
    """Every claim and every finding, by the file in which it stands."""
    cases: dict[str, list[Element]] = defaultdict(list)
    for finding in result.all_findings:
        cases[finding.place.path].append(_of_finding(finding))
    for judgement in result.judgements:
        cases[judgement.place.path].append(_of_claim(judgement, failed=gates(judgement, fail_on)))
    every = [one for suite in cases.values() for one in suite]
    top = Element("testsuites", {"name": "toolkit check"} | _counts(every))
    for path in sorted(cases):
        SubElement(top, "testsuite", {"name": _text(path)} | _counts(cases[path])).extend(cases[path])
    indent(top)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{tostring(top, encoding="unicode")}\n'


def _counts(cases: list[Element]) -> dict[str, str]:
    kinds = {"failures": "failure", "errors": "error", "skipped": "skipped"}
    counted = {name: sum(case.find(kind) is not None for case in cases) for name, kind in kinds.items()}
    return {"tests": str(len(cases)), **{name: str(count) for name, count in counted.items()}}


def _of_finding(finding: Finding) -> Element:
    case = Element(
        "testcase",
        name=_text(f"{finding.code} {finding.place.line}:{finding.place.column}"),
        classname=_text(finding.place.path),
    )
    said = [finding.message, *(f"{label}: {text}" for label, text in finding_details(finding))]
    kind = "error" if finding.severity is Severity.ERROR else "system-out"
    _say(case, kind, said, finding.code)
    return case


def _of_claim(judgement: Judgement, *, failed: bool) -> Element:
    claimed = judgement.outcome.claimed
    case = Element("testcase", name=_text(judgement.id), classname=_text(judgement.place.path))
    case.set("file", _text(judgement.place.path))
    case.set("line", str(judgement.place.line))
    said = [f'"{claimed.text if claimed else judgement.quote}" {verdict_text(judgement)}']
    said += [f"{label}: {text}" for label, text in claim_details(judgement)]
    kind = "failure" if failed else "system-out" if judgement.verdict is Verdict.AGREES else "skipped"
    _say(case, kind, said, judgement.code)
    return case


def _say(case: Element, kind: str, said: list[str], code: str) -> None:
    lines = [_text(" ".join(line.split())) for line in said]
    where = SubElement(case, kind)
    where.text = "\n".join(lines)
    if kind != "system-out":
        where.set("message", lines[0])
    if kind in ("failure", "error"):
        where.set("type", code)


def _text(text: str) -> str:
    return _NOT_XML.sub("", printable(text))
