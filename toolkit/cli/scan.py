"""Find the figures that Markdown documents state about memory, and judge those that need no spec.

What needs no spec is judged: written arithmetic, changes whose two ends are in sight, the memory of known GPUs,
parameter counts of known models, and marks that contradict their own table. Everything else is listed as unchecked,
with the words around it. Where two documents give different figures for one thing, both are shown.
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
from toolkit.cli.output import FORMATS, add_color, add_output, emit, hint, paint_for
from toolkit.documents.walk import markdown_paths
from toolkit.report.scan import scan_github, scan_json, scan_summary, scan_text, scanned_findings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `toolkit scan`."""
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="Markdown files and folders of them")
    parser.add_argument("--format", choices=FORMATS, default="text", help="(default: text)")
    add_output(parser, "the report")
    add_color(parser)


def run(arguments: argparse.Namespace) -> int:
    """Scans, prints the report, and returns whether anything is false."""
    return scan_and_report(arguments.paths, Path(), arguments, every=True)


def scan_and_report(paths: Sequence[Path], root: Path, arguments: argparse.Namespace, *, every: bool) -> int:
    """Scans documents, and prints every figure or only the false ones."""
    files, findings = markdown_paths(paths)
    result = scan_documents(files, root, findings, date.today())
    _report(result, arguments, every=every)
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
        paint = paint_for(arguments.color, arguments.output)
        emit(scan_text(result, every=every, paint=paint), arguments.output)
    if arguments.output is not None:
        hint(scan_summary(result))
