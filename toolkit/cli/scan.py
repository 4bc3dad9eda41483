"""Find the figures that Markdown documents state about memory, and judge those that need no spec.

Judged are written arithmetic, changes with both ends in sight, the memory of known GPUs, parameter counts of known
models, and marks that contradict their own table. Of several documents those statements are shown that two of them
make with different figures. Everything else is listed as unchecked, with what the document
says around it.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from toolkit.checks.judgement import Verdict
from toolkit.checks.unspecified.result import ScanResult
from toolkit.checks.unspecified.run import scan_documents
from toolkit.cli.main import COULD_NOT
from toolkit.cli.output import FORMATS, add_color, emit, hint, paint_for, reason_of
from toolkit.documents.walk import markdown_paths
from toolkit.report.scan import scan_github, scan_json, scan_summary, scan_text, scanned_findings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `toolkit scan`."""
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="Markdown files and folders of them")
    parser.add_argument("--format", choices=FORMATS, default="text", help="(default: text)")
    parser.add_argument("--output", "-o", type=Path, metavar="FILE", help="write the report to a file, not to stdout")
    add_color(parser)


def run(arguments: argparse.Namespace) -> int:
    """Scans, prints, and says whether anything is false."""
    return scan_and_report(arguments.paths, Path(), arguments, every=True)


def scan_and_report(paths: Sequence[Path], root: Path, arguments: argparse.Namespace, *, every: bool) -> int:
    """Scans documents and prints: every figure, or only those that are false."""
    files, findings = markdown_paths(paths)
    result = scan_documents(files, root, findings, date.today())
    try:
        _report(result, arguments, every=every)
    except OSError as error:
        if isinstance(error, BrokenPipeError) or arguments.output is None:
            raise
        hint(f"cannot write {arguments.output}: {reason_of(error)}")
        return COULD_NOT
    if result.unreadable:
        return COULD_NOT
    if result.gates:
        return 1
    if not result.counts[Verdict.AGREES]:
        hint("nothing here can be judged without a spec")
    return 0


def _report(result: ScanResult, arguments: argparse.Namespace, *, every: bool) -> None:
    if arguments.format == "json":
        emit(scan_json(result), arguments.output)
    elif arguments.format == "github":
        emit(scan_github(result), arguments.output)
    elif arguments.format == "sarif":
        from toolkit.report.sarif import check_sarif

        emit(check_sarif(scanned_findings(result)), arguments.output)
    elif arguments.format == "junit":
        from toolkit.report.junit import check_junit

        emit(check_junit(scanned_findings(result)), arguments.output)
    else:
        paint = paint_for(arguments.color if arguments.output is None or arguments.color == "always" else "never")
        emit(scan_text(result, every=every, paint=paint), arguments.output)
    if arguments.output is not None:
        hint(scan_summary(result))
