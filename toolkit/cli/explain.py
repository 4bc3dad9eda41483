"""Say what a finding code (M301) or a row of the ledger (kv_cache) means, offline."""

from __future__ import annotations

import argparse

from toolkit.cli.main import COULD_NOT
from toolkit.cli.output import add_color, emit, hint, paint_for
from toolkit.codes import CODES
from toolkit.facts.names import nearest
from toolkit.finding import printable
from toolkit.memory.rows.registry import ROWS
from toolkit.report.explain import Entry, explain_json, explain_text

LONGEST_NAME = 60


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `toolkit explain`."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="a code or the name of a ledger row")
    parser.add_argument("--all", action="store_true", help="every code and every row")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="(default: text)")
    add_color(parser)


def run(arguments: argparse.Namespace) -> int:
    """Prints what the names mean; for an unknown name, the nearest known ones."""
    known: dict[str, Entry] = {**CODES, **{row.name: row for row in ROWS}}
    names: list[str] = list(known) if arguments.all else arguments.names
    if not names:
        hint("name a code or a ledger row, or say --all")
        return COULD_NOT
    found, missing = [], False
    for name in names:
        entry = known.get(name) or known.get(name.upper()) or known.get(name.lower())
        if entry is None:
            meant = " or ".join(nearest(name, known))
            guess = f"; did you mean {meant}?" if meant else "; --all lists every name"
            hint(f"nothing is called {printable(name[:LONGEST_NAME])!r}{guess}")
            missing = True
        else:
            found.append(entry)
    if missing:
        return COULD_NOT
    emit(explain_json(found) if arguments.format == "json" else explain_text(found, paint_for(arguments.color)))
    return 0
