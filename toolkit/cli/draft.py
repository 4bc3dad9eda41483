"""Draft the spec of a Markdown document that has none.

Scenarios hold what the document states and nothing else; claims are bound by quotes, so that no figure is typed
again. Where the document leaves something to a guess, the claim stays unchecked, and the draft asks the question that
would settle it. `toolkit check` accepts the draft as it is.
"""

from __future__ import annotations

import argparse
import os
from datetime import date
from pathlib import Path

from toolkit.checks.drafted import JudgedDraft, Target, judged_draft
from toolkit.checks.judgement import Verdict
from toolkit.cli.main import COULD_NOT
from toolkit.cli.output import add_root, emit, hint, reason_of
from toolkit.documents.document import read_document
from toolkit.documents.draft.target import place_of_draft
from toolkit.finding import Finding, printable
from toolkit.report.draft import draft_json, draft_text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `toolkit draft`."""
    parser.add_argument("document", type=Path, metavar="DOC", help="a Markdown file")
    parser.add_argument(
        "--output", "-o", type=Path, metavar="FILE", help="(default: specs/…/DOC.claims.yaml, below the root)"
    )
    add_root(parser)
    parser.add_argument("--force", action="store_true", help="write over a file that is there")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="of the summary (default: text)")


def run(arguments: argparse.Namespace) -> int:
    """Drafts the spec, writes it, and prints a summary."""
    document = read_document(arguments.document, arguments.root)
    if isinstance(document, Finding):
        hint(str(document))
        return COULD_NOT
    target = place_of_draft(arguments.document, arguments.root, arguments.output)
    if isinstance(target, Finding):
        hint(target.message)
        return COULD_NOT
    if os.path.lexists(target.path) and not arguments.force:
        hint(f"{printable(str(target.path))} is there already; --force writes over it")
        return COULD_NOT
    found = judged_draft(document, Target(target.path, arguments.root, target.document, target.slug), date.today())
    if problem := _problem(found, document.shown_path):
        hint(problem)
        return COULD_NOT
    try:
        target.path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        hint(f"cannot write {printable(str(target.path))}: {reason_of(error)}")
        return COULD_NOT
    emit(found.text, target.path)
    emit((draft_json if arguments.format == "json" else draft_text)(found, target.path))
    if not any(count for verdict, count in found.counts.items() if verdict is not Verdict.UNCHECKED):
        hint("nothing in it can be judged yet: answer its questions first")
    return 0


def _problem(found: JudgedDraft, shown: str) -> str | None:
    """Why nothing is written, if that is so."""
    if not found.draft.claims:
        return f"{shown} states nothing about memory that can be bound"
    if found.findings:
        listed = "; ".join(map(str, found.findings[:3]))
        return f"the draft of {shown} is not what it should be, which is a bug of the toolkit: {listed}"
    return None
