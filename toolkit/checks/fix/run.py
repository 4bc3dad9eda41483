"""Makes the planned changes, checks again, and undoes them if the result is not better."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

from toolkit.checks.fix.plan import Plan, Wanted, plan_fixes
from toolkit.checks.fix.source import refusal, restore, write_all
from toolkit.checks.fix.trial import LOST
from toolkit.checks.result import CheckResult
from toolkit.checks.run import check_paths
from toolkit.finding import Finding
from toolkit.frozen import frozen


@frozen
class FixResult:
    """The changes, findings about files that were left alone, and the result of the check after the changes."""

    plan: Plan
    written: bool
    findings: tuple[Finding, ...]
    check: CheckResult


def fix_paths(paths: Sequence[Path], root: Path, today: date, wanted: Wanted, *, write: bool) -> FixResult:
    """Repairs the specs in files and folders and, if wanted, numbers of their documents.

    Nothing is written unless `write`; what is written is checked again, and taken back if it is no better.
    """
    before = check_paths(paths, root, today)
    plan = plan_fixes(paths, root, today, wanted)
    if not write or not plan.changes:
        return FixResult(plan, False, plan.findings, before)
    problem = write_all(plan.changes)
    if problem is not None:
        return FixResult(plan, False, (*plan.findings, problem), before)
    after = check_paths(paths, root, today)
    if _weight(after) < _weight(before):
        return FixResult(plan, True, plan.findings, after)
    undone = restore(plan.changes)
    shown = plan.changes[0].source.shown
    said = refusal(shown, "and what was changed with it is as it was: the check was no better for it")
    return FixResult(plan, False, (*plan.findings, said, *undone), check_paths(paths, root, today))


def _weight(result: CheckResult) -> tuple[int, int]:
    """The problems left: lost quotes first, then claims that disagree."""
    lost = sum(finding.code in LOST for finding in result.all_findings)
    return lost, sum(judgement.verdict.value == "disagrees" for judgement in result.judgements)
