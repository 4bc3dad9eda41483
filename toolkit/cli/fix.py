"""Repair what a person would repair by hand: quotes that have moved or changed their typography.

A lost quote is bound again where the document leaves no choice: its words stand under another heading, or stand
there in other typography (spaces, dashes, quotation marks, emphasis, wrapped lines). Only the scalars of the quote
and of its heading change; every other byte of the spec stays.

--unsafe-fixes also corrects numbers in documents, where a claim disagrees and only one number in its own unit and
decimals is true. Hedges such as "~" stay. Look at --diff first.

Every change is tried in memory, written in one step for each file, checked again, and taken back if the check is
no better.
"""

from __future__ import annotations

import argparse
from datetime import date
from pathlib import Path

from toolkit.checks.fix.plan import Wanted
from toolkit.checks.fix.run import FixResult, fix_paths
from toolkit.cli.check import DEFAULT, MARKDOWN
from toolkit.cli.main import COULD_NOT
from toolkit.cli.output import add_color, add_root, emit, hint, paint_for
from toolkit.finding import printable
from toolkit.report.fix import fix_diff, fix_json, fix_summary, fix_text

EXIT_CODES = """exit codes, as ruff's:
  0  nothing is left that gates; with --diff: nothing would change
  1  something is left that gates; with --diff: something would change
  2  it could not do its job: a file could not be read or written, or changed meanwhile"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `toolkit fix`."""
    parser.epilog = EXIT_CODES
    parser.add_argument(
        "paths", nargs="*", type=Path, metavar="PATH", help=f"specs and folders of specs (default: {DEFAULT}/)"
    )
    parser.add_argument("--diff", action="store_true", help="show what would change, and write nothing")
    parser.add_argument("--unsafe-fixes", action="store_true", help="correct numbers in documents, too")
    parser.add_argument(
        "--acknowledged", action="store_true", help="with --unsafe-fixes: correct those of acknowledged claims, too"
    )
    parser.add_argument("--format", choices=("text", "json"), default="text", help="(default: text)")
    add_root(parser)
    add_color(parser)


def run(arguments: argparse.Namespace) -> int:
    """Fixes, prints the changes, and returns whether anything is left that gates."""
    root: Path = arguments.root
    paths = arguments.paths or [root / DEFAULT]
    if problem := _usage(arguments, root):
        hint(problem)
        return COULD_NOT
    wanted = Wanted(numbers=arguments.unsafe_fixes, acknowledged=arguments.acknowledged)
    result = fix_paths(paths, root, date.today(), wanted, write=not arguments.diff)
    _report(result, arguments)
    if result.findings or result.check.unreadable or not (result.check.judgements or result.check.all_findings):
        return COULD_NOT
    if arguments.diff:
        return int(bool(result.plan.changes))
    return int(result.check.gates(frozenset()))


def _usage(arguments: argparse.Namespace, root: Path) -> str | None:
    if not root.is_dir():
        return f"--root {printable(str(root))} is not a folder"
    if not arguments.paths and not (root / DEFAULT).exists():
        return f"no specs: there is not a folder {DEFAULT}/ here; name the specs to fix"
    for path in arguments.paths:
        if path.suffix.lower() in MARKDOWN and path.is_file():
            return f"{printable(str(path))} is a document; name its spec, or a folder of specs"
    if arguments.acknowledged and not arguments.unsafe_fixes:
        return "--acknowledged says which numbers to correct; add --unsafe-fixes"
    return None


def _report(result: FixResult, arguments: argparse.Namespace) -> None:
    if arguments.format == "json":
        emit(fix_json(result))
    elif arguments.diff:
        emit(fix_diff(result.plan, paint_for(arguments.color)))
        hint(fix_summary(result, diff=True))
    else:
        emit(fix_text(result, paint_for(arguments.color)))
