"""The check as annotations of a GitHub workflow.

Format and escapes: github.com/actions/toolkit, packages/core/src/command.ts. GitHub shows ten annotations
of a level in one step and drops the rest in silence, so the tenth says how many there are.
"""

from __future__ import annotations

from collections.abc import Iterator

from toolkit.checks.details import claim_details, finding_details, verdict_text
from toolkit.checks.judgement import Judgement, Verdict
from toolkit.checks.result import CheckResult, gates
from toolkit.finding import Finding, Place, Severity, printable
from toolkit.frozen import frozen
from toolkit.report.terminal import plural

LEVELS = ("error", "warning", "notice")
SHOWN_PER_LEVEL = 10
_LEVEL_OF = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}


@frozen
class _Annotation:
    level: str
    place: Place
    title: str
    message: str

    def __str__(self) -> str:
        place = self.place
        properties: dict[str, object] = {"file": place.path, "line": place.line, "col": place.column}
        if place.end_line is not None:
            properties["endLine"] = place.end_line
        if place.end_line == place.line and place.end_column is not None:
            properties["endColumn"] = place.end_column
        properties["title"] = self.title
        written = ",".join(f"{name}={_property(str(value))}" for name, value in properties.items())
        return f"::{self.level} {written}::{_data(self.message)}"


def check_github(result: CheckResult, fail_on: frozenset[Verdict] = frozenset()) -> str:
    """One workflow command a line: errors for what gates, notices for what is open or acknowledged."""
    annotations = [_of_finding(finding) for finding in result.all_findings]
    annotations += [one for judgement in result.judgements for one in _of_claim(judgement, fail_on)]
    annotations.sort(key=lambda one: (one.place.path, one.place.line, one.place.column, one.title))
    lines = [written for level in LEVELS for written in _cut(level, annotations)]
    return "".join(f"{written}\n" for written in lines)


def _cut(level: str, annotations: list[_Annotation]) -> list[str]:
    wanted = [str(one) for one in annotations if one.level == level]
    if len(wanted) <= SHOWN_PER_LEVEL:
        return wanted
    hidden = len(wanted) - SHOWN_PER_LEVEL + 1
    total = f"… {hidden:,} more {level}s, {plural(len(wanted), level)} in all; full list in the log"
    return [*wanted[: SHOWN_PER_LEVEL - 1], f"::{level} title=toolkit check::{_data(total)}"]


def _of_finding(finding: Finding) -> _Annotation:
    said = [finding.message, *(f"{label}: {_one_line(text)}" for label, text in finding_details(finding))]
    return _Annotation(_LEVEL_OF[finding.severity], finding.place, finding.code, "\n".join(said))


def _of_claim(judgement: Judgement, fail_on: frozenset[Verdict]) -> Iterator[_Annotation]:
    gating = gates(judgement, fail_on)
    if not gating and judgement.verdict not in (Verdict.DISAGREES, Verdict.DEPENDS):
        return
    claimed = judgement.outcome.claimed
    said = [f'"{claimed.text if claimed else judgement.quote}" {verdict_text(judgement)}']
    said += [f"{label}: {text}" for label, text in claim_details(judgement)]
    title = f"{judgement.code} {judgement.quantity} {judgement.verdict.value}"
    yield _Annotation("error" if gating else "notice", judgement.place, title, "\n".join(map(_one_line, said)))


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _data(text: str) -> str:
    """The message of a command: its line ends are encoded, other control characters escaped."""
    lines = (printable(part) for part in text.split("\n"))
    return "%0A".join(part.replace("%", "%25") for part in lines)


def _property(text: str) -> str:
    """The value of a property, encoded as GitHub decodes it, so that it finds the file."""
    escapes = {"%": "%25", "\r": "%0D", "\n": "%0A", ":": "%3A", ",": "%2C"}
    return printable("".join(escapes.get(letter, letter) for letter in text))
