"""Update the table of releases from the package index, which no other command reads; only `trace --stack` runs pip."""

from __future__ import annotations

import argparse
from pathlib import Path

from toolkit.cli.main import COULD_NOT
from toolkit.cli.output import emit, hint, reason_of
from toolkit.facts.refresh_software import Refresh, refresh
from toolkit.facts.releases import DATA, PACKAGES
from toolkit.report.terminal import line, plural


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `toolkit software`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    action = actions.add_parser("refresh", help="ask the package index for new releases")
    action.add_argument(
        "packages", nargs="*", metavar="PACKAGE", help="only these (default: every package with a table)"
    )
    action.add_argument("--folder", type=Path, default=DATA, help="where the tables are (default: the installed ones)")


def run(arguments: argparse.Namespace) -> int:
    """Updates the tables, and prints what is new and what could not be fetched."""
    try:
        done = refresh(arguments.folder, packages=arguments.packages or tuple(PACKAGES))
    except OSError as error:
        hint(f"cannot write {arguments.folder}: {reason_of(error)}")
        return COULD_NOT
    emit(_said(done))
    for problem in done.problems:
        hint(problem)
    return COULD_NOT if done.problems else 0


def _said(done: Refresh) -> str:
    lines = []
    for package, added in done.added.items():
        dropped = done.dropped.get(package, ())
        news = f": {', '.join(added)}" if added else ""
        gone = f"; gone: {', '.join(dropped)}" if dropped else ""
        lines.append(line(f"{package}: {plural(len(added), 'new release')}{news}{gone}"))
    return "".join(f"{text}\n" for text in lines)
