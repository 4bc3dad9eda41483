"""One run of the check: every spec is loaded, its document read and bound, and every claim judged."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import date
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

    `forks` lets a second process do half of it: what the reports say of specs then leaves out what is in them.
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
    found = _side_by_side(checked, files) if forks else [checked(path) for path in files]
    _, findings = together([(one.spec, one.findings) for one in found], findings)
    findings += [one.said for one in found if isinstance(one.said, Finding)]
    findings += _about_comments(found)
    reports = [one.said for one in found if isinstance(one.said, SpecReport)]
    reports.sort(key=lambda report: report.spec.shown_path)
    readings = _readings(paths, root, findings)
    return CheckResult(tuple(reports), tuple(dict.fromkeys(findings)), readings)


def _readings(paths: Iterable[Path], root: Path, findings: list[Finding]) -> int:
    """How many published readings are there; what is wrong with their form goes to `findings`."""
    count = 0
    for folder in reading_folders(paths):
        from toolkit.spec.published import load_published  # noqa: PLC0415 - most runs meet no readings

        source, found = load_published(folder, root)
        findings += found
        count += sum(len(run.readings) for run in source.runs) if source else 0
    return count


class _Checked(NamedTuple):
    """A file of a spec: what it holds, what is wrong with it, and what is said of its document, if that was read."""

    spec: Spec | None
    findings: list[Finding]
    said: SpecReport | Finding | None
    heard: Heard | None = None


def _judged(spec: Spec, document: Document, today: date, *, coverage: bool) -> tuple[SpecReport, Heard | None]:
    """The claims of a spec judged; with them, what the document says in comments."""
    binding = bind(spec, document)
    report = judge_spec(spec, binding, today)
    if coverage:
        from toolkit.checks.coverage import figures_of  # noqa: PLC0415 - to scan costs time, and few ask for it

        report = replace(report, figures=figures_of(document, binding))
    if not ("toolkit:" in document.text and "<!--" in document.text):
        return report, None
    from toolkit.checks.ignored import hear  # noqa: PLC0415 - few documents speak to the toolkit

    return hear(report, document, today)


def _about_comments(found: Iterable[_Checked]) -> list[Finding]:
    """What is to be said of comments that documents make to the toolkit."""
    heard = [(one.spec, one.heard) for one in found if one.spec is not None and one.heard is not None]
    if not heard:
        return []
    from toolkit.checks.ignored import told  # noqa: PLC0415 - few documents speak to the toolkit

    return told(heard)


def _side_by_side(checked: Callable[[Path], _Checked], files: Sequence[Path]) -> list[_Checked]:
    """What is found of each file, in order."""
    parser()  # what every file needs is made once, before the processes part
    begun = largest_first(files)
    found = dict(zip(begun, side_by_side(lambda path: _without_content(checked(path)), begun), strict=True))
    return [found[path] for path in files]


def _without_content(one: _Checked) -> _Checked:
    """The same without what the spec holds, which no report tells: it would take long to hand over."""
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
