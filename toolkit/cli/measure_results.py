"""`toolkit measure --results`: takes in measurements that were made on another machine."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from toolkit.cli.main import COULD_NOT
from toolkit.cli.output import emit, hint, paint_for, reason_of
from toolkit.evidence.evidence import EvidenceKind
from toolkit.evidence.record import Record
from toolkit.memory.measure.job import Measurable, identity_of
from toolkit.report.terminal import plural

FINDINGS = 1


def take(arguments: argparse.Namespace, jobs: Sequence[Measurable]) -> int:
    """Stores the results that belong to the named specs, and compares them."""
    from toolkit.memory.measure.results import records_in

    folders = {job.folder for job in jobs}
    taken, failed = [], False
    for one in records_in(arguments.results):
        if isinstance(one, str):
            hint(one)
            continue
        folder, record = one
        if folder not in folders:
            hint(f"{record.scenario}: its folder {folder} is not that of a spec that is named")
            continue
        taken.append(record)
        if arguments.write:
            failed |= not kept(record, Path(folder), anew=arguments.anew)
    if arguments.readings is not None:
        failed |= not _published(arguments, taken)
    used = arguments.write or arguments.readings is not None
    hint(f"{plural(len(taken), 'record')} {'taken' if used else 'found; --write or --readings keeps them'}")
    off = _off(arguments, taken, jobs)
    return COULD_NOT if failed or not taken else FINDINGS if off else 0


def _off(arguments: argparse.Namespace, records: Sequence[Record], jobs: Sequence[Measurable]) -> bool:
    """Prints measurements beside estimates and traces; returns whether any is out of tolerance."""
    from toolkit.checks.situations.measurable import computed
    from toolkit.memory.measure.compare import compare
    from toolkit.memory.measure.records import fits, together
    from toolkit.report.measure import comparison_text

    known = {job.identity: job for job in jobs}
    traces = {identity_of(one): one for one in records if one.kind is EvidenceKind.TRACED}
    off = False
    for record in together(records):
        job = known.get(identity_of(record))
        if job is None or not fits(record):
            continue
        here = replace(job, setting=replace(job.setting, gpu=record.gpu))
        comparison = compare(record, computed(here), traces.get(identity_of(record)))
        off |= bool(comparison.failures)
        if arguments.format == "text":
            emit(comparison_text(record, comparison, paint_for(arguments.color)) + "\n")
    return off


def _published(arguments: argparse.Namespace, records: Sequence[Record]) -> bool:
    """Adds measurements to the published readings, several of one setting as one."""
    from toolkit.accuracy.convert.own import write_own
    from toolkit.memory.measure.records import together

    try:
        folders, left = write_own(together(records), arguments.readings, anew=arguments.anew)
    except (OSError, ValueError, KeyError, TypeError) as error:
        hint(f"{arguments.readings}: {reason_of(error) if isinstance(error, OSError) else error}")
        return False
    for reason in left:
        hint(reason)
    for folder in folders:
        hint(f"{folder}: readings added")
    return True


def kept(record: Record, folder: Path, *, anew: bool) -> bool:
    """Stores a record; returns whether that worked, and prints why not."""
    from toolkit.memory.measure.records import keep

    try:
        refusal = keep(record, folder, anew=anew)
    except OSError as error:
        refusal = reason_of(error)
    if refusal:
        hint(f"{record.name} not written: {refusal}")
    return not refusal
