"""Trace scenarios: run their real training code without weights and without a GPU, and account every byte.

Takes specs, folders of specs and files with one scenario. What a scenario leaves open is traced where the formulas say
that the peak is smallest and largest. Needs the extra `trace` (torch, transformers, peft, bitsandbytes).

--stack traces with other releases: it makes a virtual environment with them, once, by venv and pip, under
$XDG_CACHE_HOME/vram-toolkit/stacks. torch is that of this environment unless the stack names one.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from toolkit.checks.situation import REFUSALS
from toolkit.checks.traceable import jobs_of
from toolkit.cli.main import COULD_NOT
from toolkit.cli.output import add_color, emit, hint, paint_for, reason_of, write_whole
from toolkit.evidence.record import FOLDER, Record
from toolkit.facts.gpus import find_gpu
from toolkit.facts.names import UnknownName
from toolkit.memory.card import SOLVABLE, Solved
from toolkit.memory.estimate import estimate
from toolkit.memory.trace.campaign import Job, Result, traced
from toolkit.memory.trace.stack.apart import traced_apart
from toolkit.memory.trace.stack.environment import environment
from toolkit.memory.trace.stack.named import named_stack
from toolkit.report.terminal import line
from toolkit.report.trace import solved_json, solved_text, trace_text, traces_json

Tracing = Callable[[list[Job], int, Callable[[str], None]], Iterator[Result]]
NEEDED = ("torch", "transformers", "peft")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `toolkit trace`."""
    parser.add_argument(
        "paths", nargs="+", type=Path, metavar="SPEC", help="a spec, a folder, or a file with one scenario"
    )
    parser.add_argument(
        "--scenario", action="append", metavar="NAME", help="only the scenario of that name (may be repeated)"
    )
    parser.add_argument(
        "--whole",
        action="store_true",
        help="trace every layer (default: a few, where the others prove to be alike)",
    )
    parser.add_argument("--write", action="store_true", help=f"keep the records in {FOLDER}/ beside each spec")
    parser.add_argument(
        "--solve", choices=SOLVABLE, metavar="FIELD", help=f"the largest that fits on the GPU: {' or '.join(SOLVABLE)}"
    )
    parser.add_argument("--gpu", metavar="NAME", help="the GPU for --solve (default: that of each scenario)")
    parser.add_argument(
        "--stack", metavar="NAME==VERSION,…", help="trace with these releases, in an environment made for them by pip"
    )
    parser.add_argument("--jobs", type=_positive, default=os.cpu_count() or 1, metavar="N", help="processes at once")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="(default: text)")
    add_color(parser)


def run(arguments: argparse.Namespace) -> int:
    """Traces, prints, and says what could not be done."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing and arguments.stack is None:
        hint(f"{', '.join(missing)} not installed: pip install 'vram-toolkit[trace]'")
        return COULD_NOT
    found = jobs_of(arguments.paths, Path(), arguments.scenario)
    for finding in found.findings:
        hint(line(str(finding)))
    for reason in found.left_out:
        hint(line(reason))
    if not found.jobs:
        hint("there is no scenario to trace")
        return COULD_NOT
    if arguments.solve is not None and arguments.stack is not None:
        hint("--solve works with the libraries of this environment alone, not with --stack")
        return COULD_NOT
    if arguments.solve is not None:
        return _solved(arguments, [job for job, _ in found.jobs])
    jobs = [(replace(job, whole=arguments.whole), folder) for job, folder in found.jobs]
    tracing = _tracing(arguments)
    if isinstance(tracing, str):
        hint(line(tracing))
        return COULD_NOT
    return _traced(arguments, [job for job, _ in jobs], {id(job): folder for job, folder in jobs}, tracing)


def _tracing(arguments: argparse.Namespace) -> Tracing | str:
    """What traces jobs: this process and others like it, or those of a stack's environment; or why nothing does."""
    if arguments.stack is None:
        return traced
    stack = named_stack(arguments.stack)
    found = stack if isinstance(stack, str) else environment(stack, _progress)
    return found if isinstance(found, str) else partial(traced_apart, found.python)


def _traced(arguments: argparse.Namespace, jobs: list[Job], folders: dict[int, Path], tracing: Tracing) -> int:
    records: list[Record] = []
    failed = False
    paint = paint_for(arguments.color)
    for number, result in enumerate(tracing(jobs, arguments.jobs, _progress), 1):
        if result.record is None:
            failed = True
            hint(line(f"[{number}/{len(jobs)}] {result.job.scenario}: {result.reason}"))
            continue
        hint(line(f"[{number}/{len(jobs)}] {result.job.scenario}: {result.record.made['seconds']} s"))
        records.append(result.record)
        if arguments.format == "text":
            emit(trace_text(result.record, paint, _computed(result.job)) + "\n")
        if arguments.write:
            failed |= not _kept(result.record, folders[id(result.job)])
    if arguments.format == "json":
        emit(traces_json(sorted(records, key=lambda record: (record.scenario, record.identity))))
    return COULD_NOT if failed or not records else 0


def _computed(job: Job) -> int | None:
    """What the formulas say of the same peak, if they say anything."""
    try:
        return estimate(job.setting, job.facts).allocated
    except REFUSALS:
        return None


def _solved(arguments: argparse.Namespace, jobs: list[Job]) -> int:
    """For each setting but for the field that is asked for: the largest that fits."""
    from toolkit.memory.trace.refusal import UnsupportedTrace
    from toolkit.memory.trace.solve import solve

    answers: list[tuple[str, Solved]] = []
    failed = False
    for job, gpu in _to_solve(arguments, jobs):
        reason = _no_card(gpu)
        try:
            if gpu is not None and not reason:
                answers.append((job.scenario, solve(job.setting, job.facts, arguments.solve, gpu, _progress)))
        except UnsupportedTrace as refusal:
            reason = str(refusal)
        if reason:
            failed = True
            hint(line(f"{job.scenario}: {reason}"))
            continue
        if arguments.format == "text":
            emit(solved_text(*answers[-1]))
    if arguments.format == "json":
        emit(solved_json(answers))
    return COULD_NOT if failed or not answers else 0


def _no_card(name: str | None) -> str:
    """Why nothing can be said of a card; empty where something can."""
    if name is None:
        return "the scenario names no GPU: say which with --gpu"
    found = find_gpu(name)
    near = f"; known are {', '.join(found.nearest)}" if isinstance(found, UnknownName) and found.nearest else ""
    return f"no GPU is known as {name!r}{near}" if isinstance(found, UnknownName) else ""


def _to_solve(arguments: argparse.Namespace, jobs: list[Job]) -> Iterator[tuple[Job, str | None]]:
    seen = set()
    for job in jobs:
        batch = arguments.solve == SOLVABLE[0]
        same = replace(job.setting, batch_size=1) if batch else replace(job.setting, sequence_length=1)
        key = job.scenario, repr(same)
        if key not in seen:
            seen.add(key)
            yield job, arguments.gpu or job.setting.gpu


def _progress(text: str) -> None:
    hint(line(text))


def _kept(record: Record, folder: Path) -> bool:
    try:
        folder.mkdir(exist_ok=True)
        write_whole(folder / record.name, record.text())
    except OSError as error:
        hint(f"{record.name} could not be written: {reason_of(error)}")
        return False
    return True


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number
