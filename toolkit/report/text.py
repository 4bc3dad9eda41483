"""The check as text: document by document, each claim that disagrees or depends, then the counts."""

from __future__ import annotations

from collections.abc import Iterator

from toolkit.checks.details import claim_details, finding_details, verdict_text
from toolkit.checks.judgement import Judgement, Verdict
from toolkit.checks.result import CheckResult, SpecReport
from toolkit.finding import Finding, Severity
from toolkit.report.terminal import INDENT, Paint, line, plural

QUIET = frozenset({Verdict.AGREES, Verdict.UNCHECKED})
LONGEST_TEXT = 120


def check_text(result: CheckResult, *, verbose: bool = False, paint: Paint | None = None) -> str:
    """The whole report; `verbose` adds the claims that agree and those that are unchecked."""
    colours = paint or Paint()
    blocks = [finding_text(finding, colours) for finding in result.findings]
    for report in result.reports:
        blocks += _of_report(report, verbose=verbose, paint=colours)
    blocks.append(colours.bold(summary(result)))
    return "\n".join(blocks) + "\n"


def summary(result: CheckResult) -> str:
    """The counts of every verdict, in one line."""
    counts = result.counts
    claims = f"{plural(sum(counts.values()), 'claim')} in {plural(result.documents, 'document')}"
    disagree = plural(counts[Verdict.DISAGREES], "disagrees", "disagree")
    return (
        f"{claims}: {plural(counts[Verdict.AGREES], 'agrees', 'agree')},"
        f" {disagree} ({result.acknowledged:,} acknowledged),"
        f" {plural(counts[Verdict.DEPENDS], 'depends', 'depend')},"
        f" {counts[Verdict.UNCHECKED]:,} unchecked; {plural(len(result.all_findings), 'finding')}"
        + (f"; {plural(result.ignored, 'claim')} ignored by comments in documents" if result.ignored else "")
    )


def _of_report(report: SpecReport, *, verbose: bool, paint: Paint) -> Iterator[str]:
    for judgement in report.judgements:
        if verbose or judgement.verdict not in QUIET:
            yield _claim(judgement, paint)
    for finding in report.findings:
        yield finding_text(finding, paint)


def _claim(judgement: Judgement, paint: Paint) -> str:
    head = line(f"{judgement.place}: {judgement.code} ")
    verdict = verdict_text(judgement)
    about = judgement.quantity + (f" of {judgement.scenario}" if judgement.scenario else "")
    subject = f'"{_claimed_text(judgement)}" ({about})'
    lines = [f"{head} {_painted(judgement, verdict, paint)}: {line(subject)}"]
    lines += [_labelled(label, text, paint) for label, text in claim_details(judgement)]
    return "\n".join(lines)


def _labelled(label: str, text: str, paint: Paint) -> str:
    """A line with a label, so that no text of the input stands at the start of a line."""
    said = line(f"{label}: {text}")
    return f"{INDENT}{paint.dim(said[: len(label) + 1])}{said[len(label) + 1 :]}"


def _claimed_text(judgement: Judgement) -> str:
    claimed = judgement.outcome.claimed
    text = " ".join((claimed.text if claimed else judgement.quote).split())
    return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 1]}…"


def _painted(judgement: Judgement, verdict: str, paint: Paint) -> str:
    if judgement.gates:
        return paint.red(verdict)
    if judgement.verdict is Verdict.AGREES:
        return paint.green(verdict)
    return paint.yellow(verdict)


def finding_text(finding: Finding, paint: Paint) -> str:
    """A finding on a line of its own, with its details below."""
    colour = paint.red if finding.severity is Severity.ERROR else paint.yellow
    word = "" if finding.severity is Severity.ERROR else f"{finding.severity.value}: "
    text = f"{line(f'{finding.place}:')} {colour(finding.code)} {line(f'{word}{finding.message}')}"
    return "\n".join([text, *(_labelled(label, said, paint) for label, said in finding_details(finding))])
