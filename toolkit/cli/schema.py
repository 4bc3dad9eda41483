"""Print the JSON Schema of a spec, with which editors complete and check specs."""

from __future__ import annotations

import argparse

from toolkit.cli.output import emit, hint
from toolkit.spec.schema import COMMITTED, scenario_schema, schema_text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `toolkit schema`."""
    parser.add_argument("--scenario", action="store_true", help="the schema of a file with one scenario, instead")
    parser.add_argument("--check", action="store_true", help="only say whether the committed copy is up to date")


def run(arguments: argparse.Namespace) -> int:
    """Prints the schema, or compares it with the committed copy."""
    if arguments.scenario:
        from toolkit.report.json import as_json

        emit(as_json(scenario_schema()))
        return 0
    text = schema_text()
    if not arguments.check:
        emit(text)
        return 0
    if COMMITTED.is_file() and COMMITTED.read_text("utf-8") == text:
        return 0
    hint(f"{COMMITTED.name} is out of date; update it: toolkit schema > toolkit/spec/{COMMITTED.name}")
    return 1
