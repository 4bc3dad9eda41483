"""The changes of `toolkit fix`, made or proposed: as text, as a unified diff, as JSON."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import unified_diff

from toolkit.checks.fix.plan import Plan
from toolkit.checks.fix.run import FixResult
from toolkit.checks.fix.source import Change
from toolkit.documents.wording import shown
from toolkit.finding import printable
from toolkit.report.json import as_json, check_counts, finding_json, place_json
from toolkit.report.terminal import Paint, line, plural
from toolkit.report.text import check_text, finding_text

_LONGEST = 300
_COMMAND = re.compile(r"([+\- ]?\s*):(?=:)")


def fix_text(result: FixResult, paint: Paint) -> str:
    """Each fix, then the result of the check after them."""
    lines = []
    if result.written:
        for fix in result.plan.fixes:
            change = f"{shown(fix.old, _LONGEST)} is now {shown(fix.new, _LONGEST)}"
            lines.append(f"{line(f'{fix.place}: {fix.code} ')} {paint.green('fixed')}: {line(change)}")
    shown_below = result.check.all_findings
    lines += [finding_text(finding, paint) for finding in result.findings if finding not in shown_below]
    lines += [check_text(result.check, paint=paint).rstrip("\n"), fix_summary(result)]
    return "\n".join(lines) + "\n"


def fix_summary(result: FixResult, *, diff: bool = False) -> str:
    """The number of changes, in one line."""
    fixes, files = len(result.plan.fixes), len(result.plan.changes)
    if not fixes:
        return "nothing to fix"
    verb = "would fix" if diff else "fixed" if result.written else "did not fix"
    return f"{verb} {plural(fixes, 'place')} in {plural(files, 'file')}"


def fix_diff(plan: Plan, paint: Paint) -> str:
    """The changes as a unified diff; characters that steer a terminal or a workflow's runner are escaped."""
    return "".join(f"{one}\n" for change in plan.changes for one in _diff_lines(change, paint))


def _diff_lines(change: Change, paint: Paint) -> Iterator[str]:
    name = change.source.shown
    before, after = (text.splitlines() for text in (_unified(change.source.text), _unified(change.text)))
    for one in unified_diff(before, after, f"a/{name}", f"b/{name}", lineterm=""):
        safe = _safe(one)
        if one.startswith(("+++", "---", "@@")):
            yield paint.bold(safe)
        else:
            yield paint.green(safe) if one.startswith("+") else paint.red(safe) if one.startswith("-") else safe


def _unified(text: str) -> str:
    """Lines as a diff counts them: ended by LF alone, so that no other character parts one."""
    joined = text.replace("\r\n", "\n").replace("\r", "\n")
    return re.sub("[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]", lambda found: printable(found.group()), joined)


def _safe(text: str) -> str:
    safe = "\t".join(map(printable, text.split("\t"))).replace("##[", "#\\x23[")
    return _COMMAND.sub(r"\1\\x3a", safe, count=1) if _COMMAND.match(safe) else safe


def fix_json(result: FixResult) -> str:
    """The fixes, the changed files, the files left alone, and the counts of the check, as JSON."""
    return as_json(
        {
            "fixes": [
                {"path": fix.place.path, **place_json(fix.place), "code": fix.code, "old": fix.old, "new": fix.new}
                for fix in result.plan.fixes
            ],
            "files": [change.source.shown for change in result.plan.changes],
            "written": result.written,
            "findings": [finding_json(finding) for finding in result.findings],
            "counts": check_counts(result.check),
        }
    )
