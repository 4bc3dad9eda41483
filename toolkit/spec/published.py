"""Readings that others published: a folder with a header (source.yaml) and one run a line (readings.jsonl)."""

from __future__ import annotations

from pathlib import Path

from toolkit.finding import Finding, Place
from toolkit.frozen import frozen
from toolkit.spec.paths import real_path, shown_path
from toolkit.spec.published_lines import LineReader, PublishedRun
from toolkit.spec.walk import READINGS, READINGS_HEADER
from toolkit.spec.written.published import HeaderFields
from toolkit.spec.yaml.known import limited_guesses
from toolkit.spec.yaml.read_file import read_entries, read_text_file
from toolkit.spec.yaml.validate import validated

MAX_BYTES = 16 * 1024 * 1024
MAX_LINES = 50_000
_NEEDED = ("title", "repository", "metric")


@frozen
class PublishedSource:
    """One source of readings: what it is, and its runs. `slug` is the name of its folder."""

    slug: str
    title: str
    repository: str
    metric: str
    unit: str | None
    licence: str | None
    caveats: tuple[str, ...]
    misses: tuple[str, ...]
    runs: tuple[PublishedRun, ...]


def load_published(folder: Path, root: Path) -> tuple[PublishedSource | None, list[Finding]]:
    """The source in a folder, or None with every mistake in its header and lines."""
    with limited_guesses():
        header, findings = _header(folder / READINGS_HEADER, root)
        runs, found = _runs(folder / READINGS, root)
    findings += found
    if header is None or findings:
        return None, findings
    source = PublishedSource(
        slug=real_path(folder).name,
        title=header.title or "",
        repository=header.repository or "",
        metric=header.metric or "",
        unit=header.unit,
        licence=header.licence,
        caveats=tuple(header.caveats or ()),
        misses=tuple(header.misses or ()),
        runs=tuple(runs),
    )
    return source, []


def _header(path: Path, root: Path) -> tuple[HeaderFields | None, list[Finding]]:
    entries, findings = read_entries(path, root, "a header of readings")
    if entries is None:
        return None, findings
    shown = shown_path(path, root)
    header, broken = validated(HeaderFields, entries, shown, findings)
    for name in _NEEDED:
        if name not in header.model_fields_set and name not in broken.keys:
            findings.append(Finding(Place(shown), "S105", f"a header of readings needs {name}", f"add {name}:"))
    return header, findings


def _runs(path: Path, root: Path) -> tuple[list[PublishedRun], list[Finding]]:
    text = read_text_file(path, root, MAX_BYTES)
    if isinstance(text, Finding):
        return [], [text]
    reader = LineReader(shown_path(path, root))
    lines = text.split("\n")
    if len(lines) > MAX_LINES:
        return [], [Finding(Place(reader.path), "S112", f"more than {MAX_LINES:,} lines: split the file")]
    runs = [run for number, line in enumerate(lines, 1) if line and (run := reader.run(line, number)) is not None]
    return runs, reader.findings
