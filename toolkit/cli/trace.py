"""Trace scenarios: run their real training code without weights and without a GPU, and account for every byte.

Takes specs, folders of specs and files with one scenario. A scenario with open fields is traced where, by the formulas,
its peak is smallest and largest. Needs the extra `trace` (torch, transformers, peft, bitsandbytes).

--readings traces the runs of published readings, and --write stores the traces beside them, for
`toolkit accuracy --traced`.

--stack traces with other releases: on first use it makes a virtual environment for them, with venv and pip, under
$XDG_CACHE_HOME/vram-toolkit/stacks. torch is that of this environment, unless the stack names a release of it.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from toolkit.checks.refusals import REFUSALS
from toolkit.checks.situations.traceable import jobs_of
from toolkit.cli.main import COULD_NOT
from toolkit.cli.output import add_color, emit, hint, paint_for, reason_of, write_whole
from toolkit.cli.trace_readings import INSTALLED, STATED, trace_readings
from toolkit.cli.trace_sizes import solved, sweep, swept
from toolkit.evidence.record import FOLDER, Record
from toolkit.memory.allocator.card import SOLVABLE
from toolkit.memory.estimate import Estimate, estimate
from toolkit.memory.trace.covered import models, samples
from toolkit.memory.trace.many.campaign import Job, Result, traced
from toolkit.memory.trace.stack.apart import traced_apart
from toolkit.memory.trace.stack.environment import environment
from toolkit.memory.trace.stack.named import named_stack
from toolkit.report.trace import trace_text, traces_json
from toolkit.report.trace_covered import covered_json, covered_text
from toolkit.report.trace_formulas import beside_text, computed_phases

Tracing = Callable[[list[Job], int, Callable[[str], None]], Iterator[Result]]
NEEDED = ("torch", "transformers", "peft")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `toolkit trace`."""
    parser.add_argument(
        "paths", nargs="*", type=Path, metavar="SPEC", help="a spec, a folder, or a file with one scenario"
    )
    parser.add_argument("--covered", action="store_true", help="list which values of which fields can be traced")
    parser.add_argument(
        "--scenario", action="append", metavar="NAME", help="only the scenario of that name (may be repeated)"
    )
    parser.add_argument(
        "--whole",
        action="store_true",
        help="trace every layer (default: a few, where the others prove to be alike)",
    )
    parser.add_argument(
        "--formulas", action="store_true", help="show the formulas beside each phase and category of a trace"
    )
    parser.add_argument("--write", action="store_true", help=f"keep the records in {FOLDER}/ beside each spec")
    parser.add_argument(
        "--solve", choices=SOLVABLE, metavar="FIELD", help=f"the largest that fits on the GPU: {' or '.join(SOLVABLE)}"
    )
    parser.add_argument(
        "--sweep", action="append", type=sweep, metavar="FIELD=VALUES",
        help="a table over sizes, from one set of traces: batch_size=1..8, sequence_length=512,2048 (may be repeated)",
    )  # fmt: skip
    parser.add_argument(
        "--gpu", metavar="NAME", help="the GPU for --solve and --sweep (default: that of each scenario)"
    )
    parser.add_argument(
        "--stack", metavar="NAME==VERSION,…", help="trace with these releases, in an environment made for them by pip"
    )
    parser.add_argument(
        "--readings",
        choices=(STATED, INSTALLED),
        help="trace the runs of published readings in these folders, each with the releases that its record states, "
        "or with those that are installed; --write keeps the traces beside the readings",
    )
    parser.add_argument("--missing", action="store_true", help="with --readings: only what has no trace yet")
    parser.add_argument("--jobs", type=_positive, default=os.cpu_count() or 1, metavar="N", help="processes at once")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="(default: text)")
    add_color(parser)


def run(arguments: argparse.Namespace) -> int:
    """Traces, and prints the result and what could not be traced."""
    if arguments.covered or not arguments.paths:
        return _without_scenarios(arguments)
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing and arguments.stack is None and arguments.readings != STATED:
        hint(f"{', '.join(missing)} not installed: pip install 'vram-toolkit[trace]'")
        return COULD_NOT
    if arguments.readings is not None:
        return trace_readings(arguments, hint)
    found = jobs_of(arguments.paths, Path(), arguments.scenario)
    for finding in found.findings:
        hint(str(finding))
    for reason in found.left_out:
        hint(reason)
    if not found.jobs:
        hint("there is no scenario to trace")
        return COULD_NOT
    sizes = solved if arguments.solve is not None else swept if arguments.sweep else None
    if sizes is not None and arguments.stack is not None:
        hint("--solve and --sweep work with the libraries of this environment alone, not with --stack")
        return COULD_NOT
    if sizes is not None:
        return sizes(arguments, [job for job, _ in found.jobs], hint)
    jobs = [(replace(job, whole=arguments.whole), folder) for job, folder in found.jobs]
    tracing = _tracing(arguments)
    if isinstance(tracing, str):
        hint(tracing)
        return COULD_NOT
    return _traced(arguments, [job for job, _ in jobs], {id(job): folder for job, folder in jobs}, tracing)


def _without_scenarios(arguments: argparse.Namespace) -> int:
    """Prints the coverage of traces, if --covered asks for it."""
    if not arguments.covered:
        hint("the following arguments are required: SPEC")
        return COULD_NOT
    found = [(sample.field, sample.value, sample.refusal) for sample in (*samples(), *models())]
    emit(covered_json(found) if arguments.format == "json" else covered_text(found, paint_for(arguments.color)))
    return 0


def _tracing(arguments: argparse.Namespace) -> Tracing | str:
    """The function that traces jobs, here or in the environment of --stack; or why there is none."""
    if arguments.stack is None:
        return traced
    stack = named_stack(arguments.stack)
    found = stack if isinstance(stack, str) else environment(stack, hint)
    return found if isinstance(found, str) else partial(traced_apart, found.python)


def _traced(arguments: argparse.Namespace, jobs: list[Job], folders: dict[int, Path], tracing: Tracing) -> int:
    records: list[Record] = []
    beside: dict[str, list[dict[str, object]]] = {}
    failed = False
    paint = paint_for(arguments.color)
    for number, result in enumerate(tracing(jobs, arguments.jobs, hint), 1):
        if result.record is None:
            failed = True
            hint(f"[{number}/{len(jobs)}] {result.job.scenario}: {result.reason}")
            continue
        hint(f"[{number}/{len(jobs)}] {result.job.scenario}: {result.record.made['seconds']} s")
        records.append(result.record)
        computed = _computed(result.job, result.record.libraries)
        if arguments.format == "text":
            emit(trace_text(result.record, paint, None if computed is None else computed.allocated) + "\n")
        if arguments.formulas and computed is not None:
            beside[result.record.identity] = computed_phases(computed.ledger)
            if arguments.format == "text":
                emit(beside_text(result.record, computed.ledger) + "\n")
        if arguments.write:
            failed |= not _kept(result.record, folders[id(result.job)])
    if arguments.format == "json":
        emit(traces_json(sorted(records, key=lambda record: (record.scenario, record.identity)), beside))
    return COULD_NOT if failed or not records else 0


def _computed(job: Job, libraries: Mapping[str, str]) -> Estimate | None:
    """The estimate of the same run with the same libraries; None where the formulas refuse it."""
    stack = replace(job.setting.stack, versions={**job.setting.stack.versions, **libraries})
    try:
        return estimate(replace(job.setting, stack=stack), job.facts)
    except REFUSALS:
        return None


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
