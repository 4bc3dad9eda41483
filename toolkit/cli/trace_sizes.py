"""`toolkit trace --solve` and `--sweep`: one setting at many batches and lengths."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product

from toolkit.cli.main import COULD_NOT
from toolkit.cli.output import emit, hint
from toolkit.facts.gpus import find_gpu
from toolkit.facts.names import UnknownName
from toolkit.memory.allocator.card import SOLVABLE, Solved
from toolkit.memory.trace.many.campaign import Job
from toolkit.report.trace import Size, solved_json, solved_text, sweep_json, sweep_text
from toolkit.spec.settings.setting import Setting

MOST_SIZES = 10_000
_SWEEP = re.compile(r"(\w+)=(\d{1,9}(?:\.\.\d{1,9}|(?:,\d{1,9})*))")

Sweep = tuple[str, tuple[int, ...]]
"""A field and its values."""


def sweep(text: str) -> Sweep:
    """A field with its values: batch_size=1..8, sequence_length=512,2048."""
    found = _SWEEP.fullmatch(text)
    if found is None or found[1] not in SOLVABLE:
        raise argparse.ArgumentTypeError(f"{text!r} is not FIELD=1,2,4 or FIELD=1..8 with {' or '.join(SOLVABLE)}")
    first, _, last = found[2].partition("..")
    if last and int(last) - int(first) >= MOST_SIZES:
        raise argparse.ArgumentTypeError(f"{text!r} has more than {MOST_SIZES:,} values")
    values = range(int(first), int(last) + 1) if last else sorted(set(map(int, found[2].split(","))))
    if not values or values[0] < 1:
        raise argparse.ArgumentTypeError(f"{text!r} has no values from 1 upwards")
    return found[1], tuple(values)


def swept(arguments: argparse.Namespace, jobs: Sequence[Job], say: Callable[[str], None]) -> int:
    """Traces each setting at every size, and prints the tables."""
    from toolkit.memory.trace.many.sweep import swept as traces
    from toolkit.memory.trace.refusal import UnsupportedTrace

    asked: Mapping[str, tuple[int, ...]] = dict(arguments.sweep)
    found: list[tuple[str, list[Size]]] = []
    failed = False
    for job in _unlike(jobs, asked):
        setting = replace(job.setting, gpu=arguments.gpu or job.setting.gpu)
        reason = "" if setting.gpu is None else _no_card(setting.gpu)
        points = list(product(*(asked.get(field, (getattr(setting, field),)) for field in SOLVABLE)))
        if not reason and len(points) > MOST_SIZES:
            reason = f"{len(points):,} sizes are more than {MOST_SIZES:,}"
        try:
            if not reason:
                found.append((job.scenario, [Size.of(one) for one in traces(setting, job.facts, points, say)]))
        except UnsupportedTrace as refusal:
            reason = str(refusal)
        if reason:
            failed = True
            hint(f"{job.scenario}: {reason}")
        elif arguments.format == "text":
            emit(sweep_text(*found[-1]))
    if arguments.format == "json":
        emit(sweep_json(found))
    return COULD_NOT if failed or not found else 0


def solved(arguments: argparse.Namespace, jobs: Sequence[Job], say: Callable[[str], None]) -> int:
    """Finds, for each setting, the largest value of a field that fits, and prints it."""
    from toolkit.memory.trace.many.solve import solve
    from toolkit.memory.trace.refusal import UnsupportedTrace

    answers: list[tuple[str, Solved]] = []
    failed = False
    for job in _unlike(jobs, (arguments.solve,)):
        gpu = arguments.gpu or job.setting.gpu
        reason = _no_card(gpu)
        try:
            if gpu is not None and not reason:
                answers.append((job.scenario, solve(job.setting, job.facts, arguments.solve, gpu, say)))
        except UnsupportedTrace as refusal:
            reason = str(refusal)
        if reason:
            failed = True
            hint(f"{job.scenario}: {reason}")
            continue
        if arguments.format == "text":
            emit(solved_text(*answers[-1]))
    if arguments.format == "json":
        emit(solved_json(answers))
    return COULD_NOT if failed or not answers else 0


def _no_card(name: str | None) -> str:
    """Why a card cannot be used: it is not named, or not known; empty where it can."""
    if name is None:
        return "the scenario names no GPU: say which with --gpu"
    found = find_gpu(name)
    near = f"; known are {', '.join(found.nearest)}" if isinstance(found, UnknownName) and found.nearest else ""
    return f"no GPU is known as {name!r}{near}" if isinstance(found, UnknownName) else ""


def _unlike(jobs: Sequence[Job], fields: Sequence[str] | Mapping[str, object]) -> Iterator[Job]:
    """The jobs without those that differ from an earlier one in these fields alone."""
    seen = set()
    for job in jobs:
        key = job.scenario, repr(_without(job.setting, fields))
        if key not in seen:
            seen.add(key)
            yield job


def _without(setting: Setting, fields: Sequence[str] | Mapping[str, object]) -> Setting:
    return replace(
        setting,
        batch_size=1 if SOLVABLE[0] in fields else setting.batch_size,
        sequence_length=1 if SOLVABLE[1] in fields else setting.sequence_length,
    )
