"""Plans the repairs of a document and its specs that, by the check, make things better."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import TypeVar

from toolkit.checks.fix.numbers import NumberFix, number_fix
from toolkit.checks.fix.source import Change, Source, read_source
from toolkit.checks.fix.trial import SpecFile, Trial, numbers_better, quotes_better
from toolkit.documents.document import Document, read_document
from toolkit.documents.fix.quotes import Fix, Repair, quote_repairs, together
from toolkit.finding import Finding
from toolkit.frozen import frozen
from toolkit.spec.gather import spec_files
from toolkit.spec.load import load_spec
from toolkit.spec.yaml.rewrite import YamlText

MOST_ROUNDS = 3
"""The most rounds of repairs: a quote may be found only after its heading has been repaired."""

MOST_TRIALS = 128
"""The most sets of repairs of a file that are tried in one round."""

One = TypeVar("One")


@frozen
class Plan:
    """Files with their new texts, and each fix that is in them; `findings` are files that are left alone."""

    changes: tuple[Change, ...]
    fixes: tuple[Fix, ...]
    findings: tuple[Finding, ...]


@frozen
class Wanted:
    """What may be changed besides quotes: numbers in documents, and those of acknowledged claims."""

    numbers: bool = False
    acknowledged: bool = False


def plan_fixes(paths: Iterable[Path], root: Path, today: date, wanted: Wanted) -> Plan:
    """The fixes of all specs in files and folders, and of their documents."""
    files, findings = spec_files(paths, root)
    groups: dict[Path, list[SpecFile]] = {}
    for path in files:
        spec, _ = load_spec(path, root)
        source = read_source(path, root)
        if isinstance(source, Finding):
            findings.append(source)
        elif spec is not None:
            groups.setdefault(spec.document_path.resolve(), []).append(SpecFile(path, source))
    plans = [_plan_of_document(files_of_one, root, today, wanted) for files_of_one in groups.values()]
    return Plan(
        tuple(change for plan in plans for change in plan.changes),
        tuple(fix for plan in plans for fix in plan.fixes),
        (*findings, *(finding for plan in plans for finding in plan.findings)),
    )


def _plan_of_document(files: Sequence[SpecFile], root: Path, today: date, wanted: Wanted) -> Plan:
    """The fixes of one document and the specs about it."""
    trial, source = _trial(files, root)
    if trial is None:  # the check says why
        return Plan((), (), ())
    fixes: list[Fix] = []
    changes: list[Change] = []
    for file in files:
        trial, fixed = repaired(trial, file)
        fixes += fixed
    if wanted.numbers:
        if isinstance(source, Finding):
            return Plan((), (), (source,))
        trial, corrected = _with_numbers(trial, today, acknowledged=wanted.acknowledged)
        fixes += [Fix(one.place, one.code, one.old, one.new) for one in corrected]
        changes += [Change(source, trial.document.text)] if corrected else []
    changes += [Change(file.source, text) for file, text in trial.specs.items() if text != file.source.text]
    return Plan(tuple(changes), tuple(fixes), ())


def _trial(files: Sequence[SpecFile], root: Path) -> tuple[Trial | None, Source | Finding]:
    """The document with the specs about it; None where it cannot be read, which the check says."""
    spec, _ = load_spec(files[0].path, root)
    assert spec is not None
    document = read_document(spec.document_path, root)
    if isinstance(document, Finding):
        return None, document
    source = read_source(spec.document_path, root)
    if isinstance(source, Source):
        document = Document(document.path, source.text)
    return Trial(root, document, {file: file.source.text for file in files}), source


def repaired(trial: Trial, file: SpecFile) -> tuple[Trial, list[Fix]]:
    """The trial with the lost quotes of a spec repaired, and the repairs."""
    fixed: list[Fix] = []
    for _ in range(MOST_ROUNDS):
        trial, repairs = _round(trial, file)
        fixed += [fix for repair in repairs for fix in repair.fixes.values()]
        if not repairs:
            break
    return trial, fixed


def _round(trial: Trial, file: SpecFile) -> tuple[Trial, list[Repair]]:
    spec, _ = trial.spec(file)
    if spec is None:
        return trial, []
    yaml = YamlText(trial.specs[file])
    before = trial.problems(file)

    def tried(some: Sequence[Repair]) -> Trial | None:
        text = yaml.with_texts(together(some))
        return None if text is None else trial.with_spec(file, text)

    def holds(some: Sequence[Repair]) -> bool:
        new = tried(some)
        return new is not None and quotes_better(before, new.problems(file))

    kept = _largest(quote_repairs(spec, yaml, trial.document), holds)
    return (tried(kept) or trial, kept) if kept else (trial, [])


def _with_numbers(trial: Trial, today: date, *, acknowledged: bool) -> tuple[Trial, list[NumberFix]]:
    """The trial with false numbers of the document corrected, and the corrections."""
    before = trial.reports(today)
    judgements = [judgement for report in before for judgement in report.judgements]
    found = [number_fix(judgement, trial.document, acknowledged=acknowledged) for judgement in judgements]
    fixes = _apart([fix for fix in found if fix is not None])
    if not fixes:
        return trial, []

    def holds(some: Sequence[NumberFix]) -> bool:
        after = trial.with_document(_corrected(trial.document.text, some)).reports(today)
        return numbers_better(before, after, {fix.claim for fix in some})

    kept = _largest(fixes, holds)
    return (trial.with_document(_corrected(trial.document.text, kept)), kept) if kept else (trial, [])


def _apart(fixes: Iterable[NumberFix]) -> list[NumberFix]:
    """Fixes by place: two claims about one number must ask for the same, or it stays."""
    by_place: dict[int, list[NumberFix]] = {}
    for fix in fixes:
        by_place.setdefault(fix.start, []).append(fix)
    return [same[0] for _, same in sorted(by_place.items()) if len({fix.new for fix in same}) == 1]


def _corrected(text: str, fixes: Sequence[NumberFix]) -> str:
    pieces, done = [], 0
    for fix in fixes:
        pieces += [text[done : fix.start], fix.new]
        done = fix.end
    return "".join([*pieces, text[done:]])


def _largest(things: Sequence[One], holds: Callable[[Sequence[One]], bool]) -> list[One]:
    """All of them, or as many as hold together when those that spoil it are found by halving.

    After so many trials the rest is left alone, so that no document makes this slow.
    """
    tries = iter(range(MOST_TRIALS))

    def search(some: Sequence[One]) -> list[One]:
        if not some or next(tries, None) is None:
            return []
        if holds(some):
            return list(some)
        if len(some) == 1:
            return []
        middle = len(some) // 2
        first, second = search(some[:middle]), search(some[middle:])
        if first and second and not holds([*first, *second]):
            return max(first, second, key=len)
        return [*first, *second]

    return search(things)
