"""The pages with the tables of errors: published readings against estimates, and against traces."""

from __future__ import annotations

from collections.abc import Iterator

from toolkit.pages.templates import rendered

ESTIMATES, TRACES = "accuracy/index.md", "accuracy/traces.md"
LINK = f"[How far estimates are off]({ESTIMATES}){{ .md-button }}"


def accuracy_pages(estimates: str, traces: str) -> Iterator[tuple[str, str]]:
    """The paths and texts of the pages; `estimates` and `traces` are the tables as escaped Markdown."""
    yield ESTIMATES, rendered("accuracy.md.j2", table=estimates)
    yield TRACES, rendered("traces.md.j2", table=traces)
