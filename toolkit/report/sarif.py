"""The check as SARIF 2.1.0, which code scanning and editors read.

Written after the standard (docs.oasis-open.org/sarif/sarif/v2.1.0/os): what gates is an error; a claim whose settings
are open is for `review`, one that nothing can check is `open`, and both have no level, as the standard wants of all
that is no failure (3.27.10). What somebody answers for is suppressed, with the reason, and a note to those who do not
look.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from toolkit import __version__
from toolkit.checks.details import claim_details, finding_details, verdict_text
from toolkit.checks.judgement import Judgement, Verdict
from toolkit.checks.result import CheckResult, gates
from toolkit.codes import CODES
from toolkit.finding import Finding, Place, Severity, printable
from toolkit.report.json import as_json

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
KINDS = {Verdict.AGREES: "pass", Verdict.DISAGREES: "fail", Verdict.DEPENDS: "review", Verdict.UNCHECKED: "open"}
LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "note"}

Json = dict[str, object]


def check_sarif(result: CheckResult, fail_on: frozenset[Verdict] = frozenset(), *, verbose: bool = False) -> str:
    """One run with all findings, and the claims that disagree or depend; with `verbose` every claim."""
    wanted = (Verdict.DISAGREES, Verdict.DEPENDS)
    claims = [one for one in result.judgements if verbose or one.verdict in wanted or gates(one, fail_on)]
    rules = sorted({finding.code for finding in result.all_findings} | {judgement.code for judgement in claims})
    results = [_of_finding(finding, rules) for finding in result.all_findings]
    results += [_of_claim(judgement, rules, failed=gates(judgement, fail_on)) for judgement in claims]
    driver = {"name": "vram-toolkit", "version": __version__, "rules": [_rule(code) for code in rules]}
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return as_json({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]})


def _rule(code: str) -> Json:
    known = CODES[code]
    return {
        "id": code,
        "shortDescription": {"text": known.title},
        "fullDescription": {"text": known.why},
        "help": {"text": known.repair},
    }


def _of_finding(finding: Finding, rules: Sequence[str]) -> Json:
    said = [finding.message, *(f"{label}: {text}" for label, text in finding_details(finding))]
    return {
        "ruleId": finding.code,
        "ruleIndex": rules.index(finding.code),
        "level": LEVELS[finding.severity],
        "message": _message(said),
        "locations": [_location(finding.place)],
        "relatedLocations": [
            {**_location(related.place), "message": _message([related.text])} for related in finding.related
        ],
    }


def _of_claim(judgement: Judgement, rules: Sequence[str], *, failed: bool) -> Json:
    claimed = judgement.outcome.claimed
    said = [f'"{claimed.text if claimed else judgement.quote}" {verdict_text(judgement)}']
    said += [f"{label}: {text}" for label, text in claim_details(judgement)]
    kind = "fail" if failed else KINDS[judgement.verdict]
    return {
        "ruleId": judgement.code,
        "ruleIndex": rules.index(judgement.code),
        "kind": kind,
        "level": "error" if failed else "note" if kind == "fail" else "none",
        "message": _message(said),
        "locations": [_location(judgement.place)],
        "relatedLocations": [{**_location(judgement.spec_place), "message": {"text": "the spec"}}],
        # A claim keeps its name when lines above it come and go.
        "partialFingerprints": {"claim/v1": f"{judgement.place.path}#{judgement.id}"},
        "suppressions": _suppressions(judgement),
    }


def _suppressions(judgement: Judgement) -> list[Json]:
    """The suppressions of a claim: external by its spec, or inSource by a comment in the document."""
    said = []
    if judgement.acknowledged is not None:
        said.append({"kind": "external", "status": "accepted", "justification": judgement.acknowledged.reason})
    if judgement.ignored is not None:
        said.append({"kind": "inSource", "status": "accepted", "justification": judgement.ignored.reason})
    return [{**one, "justification": printable(one["justification"])} for one in said]


def _message(lines: Sequence[str]) -> Json:
    """Plain text without control characters; brackets are escaped, as they would begin a link (3.11.6)."""
    shown = (printable(" ".join(line.split())) for line in lines)
    return {"text": "\n".join(line.replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]") for line in shown)}


def _location(place: Place) -> Json:
    region = {"startLine": place.line, "startColumn": place.column}
    if place.end_line is not None:
        region["endLine"] = place.end_line
        if place.end_column is not None:
            region["endColumn"] = place.end_column
    where = {"uri": quote(printable(place.path)), "uriBaseId": "%SRCROOT%"}
    return {"physicalLocation": {"artifactLocation": where, "region": region}}
