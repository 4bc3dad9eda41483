"""Judge every claim that the specs make about documents, each at its line.

A document may ask in a comment to ignore a claim, `<!-- toolkit: ignore M301 reason="…" until=2027-03-01 -->`, and
mark a claim of its own, `<!-- toolkit: claim peak_memory scenario=qlora -->28 GB`: see `toolkit explain D211`.

A Markdown file, or a folder of them without specs, is judged by the checks that need no spec; `toolkit scan` lists all
that these find. Where two documents give different figures for one thing, both are shown, and neither gates.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.checks.ahead import loading_ahead
from toolkit.cli.main import COULD_NOT
from toolkit.cli.output import FORMATS, add_color, add_output, add_root, emit, hint, paint_for
from toolkit.finding import printable
from toolkit.report.terminal import Paint

if TYPE_CHECKING:
    from toolkit.checks.judgement import Verdict
    from toolkit.checks.result import CheckResult

DEFAULT = "specs"
FAIL_ON = ("disagrees", "depends", "unchecked")
DOCUMENTS = (".rst", ".txt")
MARKDOWN = (".md", ".markdown", ".mdx")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `toolkit check`."""
    parser.add_argument(
        "paths", nargs="*", metavar="PATH", help=f"specs, Markdown files, or folders of either (default: {DEFAULT}/)"
    )
    parser.add_argument("--format", choices=FORMATS, default="text", help="(default: text)")
    parser.add_argument("--verbose", "-v", action="store_true", help="show claims that agree or are unchecked, too")
    parser.add_argument(
        "--fail-on",
        choices=FAIL_ON,
        action="append",
        default=[],
        metavar="VERDICT",
        help="a verdict that gates, too: depends, unchecked (disagrees always does; may be repeated)",
    )
    parser.add_argument(
        "--coverage", action="store_true", help="list the memory figures of each document that no claim is bound to"
    )
    parser.add_argument(
        "--min-coverage",
        type=percent,
        metavar="PERCENT",
        help="gate documents of whose memory figures a smaller share is bound to claims (D210)",
    )
    add_output(parser, "the report")
    add_root(parser)
    add_color(parser)


def run(arguments: argparse.Namespace) -> int:
    """Checks, prints the report, and returns whether anything gates."""
    root: Path = arguments.root
    paths = [Path(path) for path in arguments.paths] or [root / DEFAULT]
    asked = arguments.coverage or arguments.min_coverage is not None
    if problem := _usage(paths, root, named=bool(arguments.paths), coverage=asked):
        hint(problem)
        return COULD_NOT
    if arguments.paths and all(map(_is_documents, paths)):
        from toolkit.cli.scan import scan_and_report

        return scan_and_report(paths, root, arguments, every=arguments.verbose)
    result = _checked(paths, root, coverage=asked)
    from toolkit.checks.judgement import Verdict

    if arguments.min_coverage is not None:
        from toolkit.checks.coverage import gated

        result = gated(result, arguments.min_coverage)
    fail_on = frozenset(Verdict(name) for name in arguments.fail_on)
    _report(result, arguments, fail_on)
    if result.readings:
        hint(f"{result.readings:,} published readings are well formed; `toolkit accuracy` compares them with estimates")
    if result.unreadable or not (result.judgements or result.all_findings or result.readings):
        return COULD_NOT
    if result.gates(fail_on):
        return 1
    if result.judgements and all(judgement.verdict is Verdict.UNCHECKED for judgement in result.judgements):
        hint("nothing was checked: every claim is unchecked; --verbose shows why")
        return COULD_NOT
    return 0


def _checked(paths: Sequence[Path], root: Path, *, coverage: bool) -> CheckResult:
    """The result of the check; the checks are imported while specs are loaded."""
    with loading_ahead(paths, root) as load:
        from toolkit.checks.run import check_paths

        return check_paths(paths, root, date.today(), forks=True, coverage=coverage, load=load)


def _usage(paths: Sequence[Path], root: Path, *, named: bool, coverage: bool) -> str | None:
    """What is wrong with the command line, if anything; missing files become findings later."""
    if not root.is_dir():
        return f"--root {printable(str(root))} is not a folder"
    if not named and not paths[0].exists():
        return f"no specs: there is not a folder {DEFAULT}/ here; name the specs to check"
    documents = [path for path in paths if named and _is_documents(path)]
    if documents and len(documents) < len(paths):
        return "specs and documents are checked by runs of their own; name either"
    if documents and coverage:
        return "coverage is of documents with specs; name the specs"
    for path in paths:
        shown = printable(str(path))
        if path.suffix.lower() in DOCUMENTS and path.is_file():
            return f"no spec found for {shown}; without one, only Markdown is checked"
        if documents:
            continue
        if path.exists() and not path.resolve().is_relative_to(root.resolve()):
            home = printable(str(root.resolve()))
            return f"{shown} lies outside {home}; name the folder of specs and documents by --root"
    return None


def _is_markdown(path: Path) -> bool:
    return path.suffix.lower() in MARKDOWN and path.is_file()


def _is_documents(path: Path) -> bool:
    """Whether a path is a Markdown file, or a folder of them that holds no spec and no readings."""
    if not path.is_dir():
        return _is_markdown(path)
    from toolkit.spec.walk import spec_paths

    if not spec_paths([path], path)[1]:
        return False
    from toolkit.documents.walk import markdown_paths

    return bool(markdown_paths([path])[0])


def _report(result: CheckResult, arguments: argparse.Namespace, fail_on: frozenset[Verdict]) -> None:
    from toolkit.report.text import check_text, summary

    if arguments.format == "json":
        from toolkit.report.json import check_json

        emit(check_json(result), arguments.output)
    elif arguments.format == "sarif":
        from toolkit.report.sarif import check_sarif

        emit(check_sarif(result, fail_on, verbose=arguments.verbose), arguments.output)
    elif arguments.format == "junit":
        from toolkit.report.junit import check_junit

        emit(check_junit(result, fail_on), arguments.output)
    elif arguments.format == "github":
        from toolkit.report.github import check_github

        emit(check_github(result, fail_on), arguments.output)
        _log((_coverage(result, Paint(), every=True) if _looked(result) else "") + check_text(result))
        return
    else:
        paint = paint_for(arguments.color, arguments.output)
        every = arguments.verbose or arguments.coverage
        covered = _coverage(result, paint, every=every) if _looked(result) else ""
        emit(covered + check_text(result, verbose=arguments.verbose, paint=paint), arguments.output)
    if arguments.output is not None:
        hint(summary(result))


def percent(text: str) -> float:
    """A share in percent, from the text of a flag."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 100:
        raise argparse.ArgumentTypeError(f"{text[:60]!r} is not a number from 0 to 100")
    return number


def _looked(result: CheckResult) -> bool:
    """Whether this run looked for figures without a claim (--coverage)."""
    return any(report.figures is not None for report in result.reports)


def _coverage(result: CheckResult, paint: Paint, *, every: bool) -> str:
    from toolkit.checks.coverage import coverages
    from toolkit.report.coverage import coverage_text

    return coverage_text(coverages(result), paint, every=every)


def _log(text: str) -> None:
    """Prints the full list to the log, as GitHub shows only ten annotations of a level."""
    import sys

    sys.stderr.write(text)
