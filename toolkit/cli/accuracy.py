"""Compare estimates with readings that others published, and show the table of errors.

A reading is compared with the estimate of the same metric: allocated, reserved or device memory. --check compares the
errors with those that are committed beside the readings: they may only shrink.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.cli.main import COULD_NOT
from toolkit.cli.output import add_output, emit
from toolkit.cli.readings_of import DEFAULT, sources_in

if TYPE_CHECKING:
    from toolkit.accuracy.score import Scores
    from toolkit.accuracy.table import Table

HALVES = ("development", "held-out", "both")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `toolkit accuracy`."""
    parser.add_argument("paths", nargs="*", type=Path, metavar="PATH", help=f"folders of readings (default: {DEFAULT})")
    parser.add_argument("--format", choices=("text", "json", "markdown"), default="text", help="(default: text)")
    add_output(parser, "the table")
    parser.add_argument(
        "--worst", choices=HALVES, default=HALVES[0], help="the half whose worst runs are shown (default: development)"
    )
    parser.add_argument(
        "--traced", action="store_true", help="compare the traces that are kept beside the readings, not estimates"
    )
    parser.add_argument("--check", action="store_true", help="only compare with the committed errors: 1 if one grew")
    parser.add_argument("--refresh", action="store_true", help="replace the committed errors, unless one grew")
    parser.add_argument("--allow-growth", action="store_true", help="with --refresh: replace them even if one grew")


def run(arguments: argparse.Namespace) -> int:
    """Scores every reading, and prints the table or what grew."""
    from toolkit.accuracy.score import score
    from toolkit.accuracy.table import table

    paths: Sequence[Path] = arguments.paths or [DEFAULT]
    sources = sources_in(paths)
    if sources is None:
        return COULD_NOT
    if arguments.traced:
        from toolkit.cli.accuracy_traced import compare_traces

        return compare_traces(arguments, sources)
    scores = score([source for source, _ in sources], paths[0])
    found = table(scores, worst_half=arguments.worst)
    if arguments.check or arguments.refresh:
        return _budget(found, paths[0], refresh=arguments.refresh, anyway=arguments.allow_growth)
    emit(_text(found, scores, arguments.format), arguments.output)
    return 0


def _text(found: Table, scores: Scores, form: str) -> str:
    if form == "json":
        from toolkit.report.accuracy import accuracy_json

        return accuracy_json(found, scores)
    from toolkit.report.accuracy_text import accuracy_markdown, accuracy_text

    return accuracy_markdown(found) if form == "markdown" else accuracy_text(found)


def _budget(found: Table, folder: Path, *, refresh: bool, anyway: bool) -> int:
    """Compares with the committed errors, and replaces them where that is asked for."""
    from toolkit.accuracy.budget import FILE, budget_json, entries
    from toolkit.cli.committed_errors import against_committed

    now = entries(found)
    return against_committed(now, folder / FILE, budget_json(now), refresh=refresh, anyway=anyway)
