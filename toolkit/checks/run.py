"""One run of the check: loads every spec, reads and binds its document, and judges every claim."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import date
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from toolkit.checks.ahead import largest_first, load_here
from toolkit.checks.judge import judge_spec
from toolkit.checks.result import CheckResult, SpecReport
from toolkit.checks.side_by_side import side_by_side
from toolkit.documents.bind import bind
from toolkit.documents.document import Document, read_document
from toolkit.documents.structure import parser
from toolkit.finding import Finding
from toolkit.spec.document_spec import Spec
from toolkit.spec.gather import spec_files, together
from toolkit.spec.walk import reading_folders

if TYPE_CHECKING:
    from toolkit.checks.ahead import Load
    from toolkit.checks.ignored import Heard


def check_paths(
    paths: Iterable[Path],
    root: Path,
    today: date,
    *,
    forks: bool = False,
    coverage: bool = False,
    load: Load = load_here,
) -> CheckResult:
    """Judges all specs in files and folders inside `root`. `today` tells which acknowledgements are over.

    `forks` shares the work out to a process for each core; the specs in the reports then come without their content.
    `coverage` looks for memory figures that no claim is bound to. `load` loads a spec.
    """
    documents: dict[Path, Document | Finding] = {}

    def checked(path: Path) -> _Checked:
        spec, findings = load(path, root)
        if spec is None:
            return _Checked(None, findings, None)
        document = _document(spec, root, documents)
        if isinstance(document, Finding):
            return _Checked(spec, findings, document)
        return _Checked(spec, findings, *_judged(spec, document, today, coverage=coverage))

    paths = list(paths)
    files, findings = spec_files(paths, root)
    folders = list(reading_folders(paths))
    look = _side_by_side if forks else _one_by_one
    found, readings = look(files, checked, folders, lambda folder: _readings(folder, root))
    _, findings = together([(one.spec, one.findings) for one in found], findings)
    findings += [one.said for one in found if isinstance(one.said, Finding)]
    findings += _about_comments(found)
    reports = [one.said for one in found if isinstance(one.said, SpecReport)]
    reports.sort(key=lambda report: report.spec.shown_path)
    for one in readings:
        findings += one.findings
    return CheckResult(tuple(reports), tuple(dict.fromkeys(findings)), sum(one.number for one in readings))


class _Readings(NamedTuple):
    """A folder of published readings: their number, and what is wrong with their form."""

    number: int
    findings: list[Finding]


def _readings(folder: Path, root: Path) -> _Readings:
    from toolkit.spec.published import load_published  # noqa: PLC0415 - most runs meet no readings

    source, findings = load_published(folder, root)
    return _Readings(sum(len(run.readings) for run in source.runs) if source else 0, findings)


class _Checked(NamedTuple):
    """A file of a spec: the spec, what is wrong with it, and the report on its document, if that could be read."""

    spec: Spec | None
    findings: list[Finding]
    said: SpecReport | Finding | None
    heard: Heard | None = None


def _judged(spec: Spec, document: Document, today: date, *, coverage: bool) -> tuple[SpecReport, Heard | None]:
    """The report on a spec, and what was found of the comments in its document."""
    binding = bind(spec, document)
    report = judge_spec(spec, binding, today)
    if coverage:
        from toolkit.checks.coverage import figures_of  # noqa: PLC0415 - few runs ask for it, and scanning is slow

        report = replace(report, figures=figures_of(document, binding))
    if not ("toolkit:" in document.text and "<!--" in document.text):
        return report, None
    from toolkit.checks.ignored import hear  # noqa: PLC0415 - few documents speak to the toolkit

    return hear(report, document, today)


def _about_comments(found: Iterable[_Checked]) -> list[Finding]:
    """Findings about the comments by which documents address the toolkit."""
    heard = [(one.spec, one.heard) for one in found if one.spec is not None and one.heard is not None]
    if not heard:
        return []
    from toolkit.checks.ignored import told  # noqa: PLC0415 - few documents speak to the toolkit

    return told(heard)


_Check = Callable[[Path], _Checked]
_Read = Callable[[Path], _Readings]
_Found = tuple[list[_Checked], list[_Readings]]


def _one_by_one(files: Sequence[Path], check: _Check, folders: Sequence[Path], read: _Read) -> _Found:
    """What is found in files of specs and in folders of readings, each in order."""
    return [check(path) for path in files], [read(folder) for folder in folders]


def _side_by_side(files: Sequence[Path], check: _Check, folders: Sequence[Path], read: _Read) -> _Found:
    """The same by a process for each core; specs come without their content."""
    # What several processes need is made once, before they are forked.
    if files:
        parser()
    if folders:
        import_module("toolkit.spec.published")
    begun = largest_first(files)
    tasks: list[Callable[[], _Checked | _Readings]] = [partial(_without_content, check, path) for path in begun]
    tasks += [partial(read, folder) for folder in folders]
    done = side_by_side(lambda task: task(), tasks)
    checked = dict(zip(begun, (one for one in done if isinstance(one, _Checked)), strict=True))
    return [checked[path] for path in files], [one for one in done if isinstance(one, _Readings)]


def _without_content(check: _Check, path: Path) -> _Checked:
    """What is found in a file, without the content of its spec: no report shows it, and it is slow to hand over."""
    one = check(path)
    if one.spec is None:
        return one
    spec = replace(one.spec, claims=(), values={}, scenarios={})
    said = replace(one.said, spec=spec) if isinstance(one.said, SpecReport) else one.said
    return one._replace(spec=spec, said=said)


def _document(spec: Spec, root: Path, known: dict[Path, Document | Finding]) -> Document | Finding:
    """The spec's document, read once however many specs it has."""
    path = spec.document_path.resolve()
    if path not in known:
        known[path] = read_document(spec.document_path, root)
    return known[path]
