"""Where a command's output goes, facts to stdout or a file and hints to stderr, and the flags that say so."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from toolkit.cli.main import CouldNotError
from toolkit.evidence.write import write_whole
from toolkit.finding import printable
from toolkit.report.terminal import Paint, line

__all__ = ["FORMATS", "add_color", "add_output", "add_root", "emit", "hint", "paint_for", "reason_of", "write_whole"]

FORMATS = ("text", "json", "github", "sarif", "junit")
"""The formats in which verdicts can be written."""


def add_color(parser: argparse.ArgumentParser) -> None:
    """Adds --color."""
    parser.add_argument(
        "--color",
        choices=("auto", "always", "never"),
        default="auto",
        help="colour the text; auto: on a terminal, unless NO_COLOR is set or TERM is dumb",
    )


def add_output(parser: argparse.ArgumentParser, written: str) -> None:
    """Adds --output, which names a file for what is `written` ("the report")."""
    parser.add_argument("--output", "-o", type=Path, metavar="FILE", help=f"write {written} to a file, not to stdout")


def add_root(parser: argparse.ArgumentParser, holds: str = "specs and documents") -> None:
    """Adds --root, the folder to which all paths of a run belong."""
    parser.add_argument(
        "--root", type=Path, default=Path(), metavar="FOLDER", help=f"the folder that holds {holds} (default: .)"
    )


def paint_for(choice: str, file: Path | None = None) -> Paint:
    """The colours for stdout; for a file none, unless they are asked for."""
    if file is not None and choice == "auto":
        return Paint()
    if choice != "auto":
        return Paint(choice == "always")
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return Paint(sys.stdout.isatty() and not plain)


def emit(text: str, file: Path | None = None) -> None:
    """Prints to stdout, or writes a file whole or not at all. Raises CouldNotError where that fails."""
    if file is None:
        sys.stdout.write(text)
        return
    try:
        write_whole(file, text)
    except OSError as error:
        raise CouldNotError(f"cannot write {file}: {reason_of(error)}") from error


def hint(text: str) -> None:
    """Prints a remark to stderr, as one line that cannot steer a terminal."""
    print(line(f"toolkit: {text}"), file=sys.stderr)


def reason_of(error: OSError | ValueError) -> str:
    """Why a file could not be read or written; without the system's path, which may be that of a temporary file."""
    said = error.strerror if isinstance(error, OSError) else None
    return printable(said or str(error))
