"""The coverage of documents as text: how many memory figures have a claim, and which have none."""

from __future__ import annotations

from collections.abc import Sequence

from toolkit.checks.coverage import Coverage
from toolkit.report.terminal import INDENT, Paint, line

LONGEST_TEXT = 120


def coverage_text(coverages: Sequence[Coverage], paint: Paint, *, every: bool) -> str:
    """A line for each document; with `every`, each figure below it that no claim is bound to."""
    lines = []
    for one in coverages:
        bound = one.counted - len(one.open)
        ignored = f"; {one.ignored:,} ignored by comments" if one.ignored else ""
        said = f"{one.document}: {bound:,} of {one.counted:,} memory figures are bound to claims, {one.share:.1f} %"
        lines.append(paint.bold(line(said + ignored)))
        for figure in one.open if every else ():
            text = " ".join(figure.text.split())[:LONGEST_TEXT]
            lines.append(
                f"{INDENT}{line(f'{figure.place}:')} {paint.yellow('no claim')}: {line(text)} ({figure.quantity})"
            )
    return "".join(f"{one}\n" for one in lines)
