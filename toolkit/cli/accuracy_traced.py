"""Kept traces against published readings: `toolkit accuracy --traced`. Nothing is traced, and no torch is needed."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from toolkit.accuracy.budget import budget_json
from toolkit.accuracy.traced.budget import ABOUT, FILE, traced_entries
from toolkit.accuracy.traced.chosen import SAMPLED, comparable
from toolkit.accuracy.traced.compare import TracedTable, traced_table
from toolkit.accuracy.traced.kept import Key
from toolkit.accuracy.traced.lines import TracedLine, read_lines
from toolkit.cli.committed_errors import against_committed
from toolkit.cli.main import CouldNotError
from toolkit.cli.output import emit, reason_of
from toolkit.cli.readings_of import DEFAULT
from toolkit.report.accuracy_traced import traced_json, traced_markdown, traced_text
from toolkit.spec.published import PublishedSource

FORMS = {"text": traced_text, "json": traced_json, "markdown": traced_markdown}


def compare_traces(arguments: argparse.Namespace, sources: Sequence[tuple[PublishedSource, Path]]) -> int:
    """Prints the table of errors of traces, or with --check what of it grew."""
    found = kept_table(sources)
    if arguments.check or arguments.refresh:
        now = traced_entries(found)
        path = (arguments.paths or [DEFAULT])[0] / FILE
        text = budget_json(now, ABOUT)
        return against_committed(now, path, text, refresh=arguments.refresh, anyway=arguments.allow_growth)
    emit(FORMS[arguments.format](found), arguments.output)
    return 0


def kept_table(sources: Sequence[tuple[PublishedSource, Path]]) -> TracedTable:
    """The table of the traces that are kept beside readings. Raises CouldNotError where they cannot be read."""
    lines: dict[Key, TracedLine] = {}
    for _, folder in sources:
        try:
            lines |= {line.key: line for line in read_lines(folder)}
        except (OSError, ValueError) as error:
            raise CouldNotError(f"cannot read the traces in {folder}: {reason_of(error)}") from error
    return traced_table(comparable([source for source, _ in sources], SAMPLED), lines)
