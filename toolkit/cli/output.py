"""Where a command's words go: facts to stdout or a file, hints to stderr."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from toolkit.evidence.write import write_whole
from toolkit.finding import printable
from toolkit.report.terminal import Paint, line

__all__ = ["FORMATS", "add_color", "emit", "hint", "paint_for", "reason_of", "write_whole"]

FORMATS = ("text", "json", "github", "sarif", "junit")
"""How what was judged may be written."""


def add_color(parser: argparse.ArgumentParser) -> None:
    """Adds --color."""
    parser.add_argument(
        "--color",
        choices=("auto", "always", "never"),
        default="auto",
        help="colour the text; auto: on a terminal, unless NO_COLOR is set or TERM is dumb",
    )


def paint_for(choice: str) -> Paint:
    """The colours for stdout."""
    if choice != "auto":
        return Paint(choice == "always")
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return Paint(sys.stdout.isatty() and not plain)


def emit(text: str, file: Path | None = None) -> None:
    """Prints to stdout, or writes a file whole or not at all. Raises OSError where it cannot be written."""
    if file is None:
        sys.stdout.write(text)
        return
    write_whole(file, text)


def hint(text: str) -> None:
    """Says something beside the facts, on stderr."""
    print(line(f"toolkit: {text}"), file=sys.stderr)


def reason_of(error: OSError) -> str:
    """Why the system refused, without a path of its own making."""
    return printable(error.strerror or str(error))
