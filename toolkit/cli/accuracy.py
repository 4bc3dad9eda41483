"""Compare estimates with readings that others published, and show the table of errors.

Each metric is compared with its own: allocated with allocated, reserved with the reserved interval, device with the
device interval. --check compares the errors with those that are committed beside the readings, which may only shrink.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.cli.main import COULD_NOT
from toolkit.cli.output import emit, hint, reason_of
from toolkit.finding import printable

if TYPE_CHECKING:
    from toolkit.accuracy.score import Scores
    from toolkit.accuracy.table import Table
    from toolkit.spec.published import PublishedSource

DEFAULT = Path("specs/published")
HALVES = ("development", "held-out", "both")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `toolkit accuracy`."""
    parser.add_argument("paths", nargs="*", type=Path, metavar="PATH", help=f"folders of readings (default: {DEFAULT})")
    parser.add_argument("--format", choices=("text", "json", "markdown"), default="text", help="(default: text)")
    parser.add_argument("--output", "-o", type=Path, metavar="FILE", help="write the table to a file, not to stdout")
    parser.add_argument(
        "--worst", choices=HALVES, default=HALVES[0], help="the half whose worst runs are shown (default: development)"
    )
    parser.add_argument("--check", action="store_true", help="only compare with the committed errors; 1 if one grew")
    parser.add_argument("--refresh", action="store_true", help="write the committed errors anew, unless one grew")
    parser.add_argument("--allow-growth", action="store_true", help="with --refresh: write them even so")


def run(arguments: argparse.Namespace) -> int:
    """Scores every reading, and prints the table or what grew."""
    from toolkit.accuracy.score import score
    from toolkit.accuracy.table import table

    paths: Sequence[Path] = arguments.paths or [DEFAULT]
    sources = _sources(paths)
    if sources is None:
        return COULD_NOT
    scores = score(sources, paths[0])
    found = table(scores, worst_half=arguments.worst)
    try:
        if arguments.check or arguments.refresh:
            return _budget(found, paths[0], refresh=arguments.refresh, anyway=arguments.allow_growth)
        emit(_text(found, scores, arguments.format), arguments.output)
    except (OSError, ValueError) as error:
        if isinstance(error, BrokenPipeError):
            raise
        hint(printable(reason_of(error) if isinstance(error, OSError) else str(error)))
        return COULD_NOT
    return 0


def _sources(paths: Sequence[Path]) -> list[PublishedSource] | None:
    """Every source of readings in the folders; None where one cannot be read, or there is none."""
    from toolkit.spec.published import load_published
    from toolkit.spec.walk import reading_folders

    sources = []
    broken = False
    for folder in reading_folders(paths):
        root = Path() if folder.resolve().is_relative_to(Path.cwd()) else folder.resolve()
        source, findings = load_published(folder, root)
        for finding in findings:
            hint(str(finding))
        broken = broken or source is None
        if source is not None:
            sources.append(source)
    if not sources and not broken:
        hint(f"no readings in {', '.join(printable(str(path)) for path in paths)}")
    return None if broken or not sources else sources


def _text(found: Table, scores: Scores, form: str) -> str:
    if form == "json":
        from toolkit.report.accuracy import accuracy_json

        return accuracy_json(found, scores)
    from toolkit.report.accuracy_text import accuracy_markdown, accuracy_text

    return accuracy_markdown(found) if form == "markdown" else accuracy_text(found)


def _budget(found: Table, folder: Path, *, refresh: bool, anyway: bool) -> int:
    """Compares with the committed errors, and writes them anew where that is asked for."""
    from toolkit.accuracy.budget import FILE, budget_json, entries, grown, read_budget

    path = folder / FILE
    now = entries(found)
    worse = list(grown(read_budget(path), now)) if path.exists() or not refresh else []
    for text in worse:
        hint(text)
    if refresh and (anyway or not worse):
        emit(budget_json(now), path)
        hint(f"{printable(str(path))}: {len(now)} groups")
        return 0
    return 1 if worse else 0
