"""Measure scenarios on a GPU: their real code, random weights of the real architecture, one process each.

Takes specs, folders of specs and files with one scenario. `--plan` lists what would be measured, and in which order.
Without a GPU nothing is measured, and the exit code is 2. To measure on another machine, which needs only torch,
transformers, peft and a copy of this repository:

  toolkit measure specs/ --plan --jobs-file jobs.json                  here, with the specs
  python3 -m toolkit measure --jobs jobs.json --out out --budget 8m    there
  toolkit measure specs/ --results out/results.jsonl --write           here again

A file of scenarios (`grid.scenarios.yaml`) has no claims: with `--readings specs/published` its results become
readings, with which `toolkit accuracy` compares.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from toolkit.cli.main import COULD_NOT
from toolkit.cli.measure_results import FINDINGS, kept, take
from toolkit.cli.output import add_color, emit, hint, paint_for, reason_of
from toolkit.evidence.record import FOLDER, Record
from toolkit.evidence.write import write_whole
from toolkit.memory.measure.alone import card_alone
from toolkit.memory.measure.campaign import LIMIT_S, Left, Result, campaign
from toolkit.memory.measure.gpu import SeenGpu, count_cards, seen_gpu
from toolkit.memory.measure.job import Measurable, jobs_text, read_jobs
from toolkit.memory.measure.plan import Planned, planned
from toolkit.memory.measure.refused import missing, refusal
from toolkit.memory.measure.shard import WRITTEN, Shard, parsed_shard
from toolkit.report.terminal import plural

SPAN = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)(s|m|h|)")
UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `toolkit measure`."""
    parser.add_argument(
        "paths", nargs="*", type=Path, metavar="SPEC", help="a spec, a folder, or a file with one scenario"
    )
    parser.add_argument("--scenario", action="append", metavar="NAME", help="only that scenario (may be repeated)")
    parser.add_argument("--plan", action="store_true", help="only list what would be measured, in which order")
    parser.add_argument("--jobs-file", type=Path, metavar="FILE", help="with --plan: write the jobs to a file")
    parser.add_argument("--jobs", type=Path, metavar="FILE", help="measure the jobs of a file instead of specs")
    parser.add_argument("--shard", type=shard, metavar="K/N", help="only the K-th of N shards, for several machines")
    parser.add_argument("--out", type=Path, metavar="DIR", help="add every result to DIR/results.jsonl at once")
    parser.add_argument("--trace", action="store_true", help="with --out: also trace what was measured, here")
    parser.add_argument("--results", type=Path, metavar="FILE", help="take results that were measured elsewhere")
    parser.add_argument("--write", action="store_true", help=f"keep the records in {FOLDER}/ beside each spec")
    parser.add_argument("--readings", type=Path, metavar="DIR", help="with --results: add them to readings of each GPU")
    parser.add_argument("--anew", action="store_true", help="with --write or --readings: replace what was there")
    parser.add_argument("--budget", type=span, metavar="TIME", help="stop in time: 480, 8m, 1.5h")
    parser.add_argument("--limit", type=span, default=LIMIT_S, metavar="TIME", help="for each scenario (default: 5m)")
    parser.add_argument("--rounds", type=int, choices=(1, 2, 3), default=2, help="readings of each (default: 2)")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="(default: text)")
    add_color(parser)


def span(text: str) -> float:
    """Seconds of "480", "8m" or "1.5h"."""
    found = SPAN.fullmatch(text)
    if found is None or not float(found[1]):
        raise argparse.ArgumentTypeError("a time is written as 480, 8m or 1.5h")
    return float(found[1]) * UNITS[found[2]]


def shard(text: str) -> Shard:
    """The shard that "2/5" names."""
    found = parsed_shard(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"a part is {WRITTEN}")
    return found


def run(arguments: argparse.Namespace) -> int:
    """Plans, measures, or takes what was measured elsewhere."""
    problem = _usage(arguments)
    if problem:
        hint(problem)
        return COULD_NOT
    if arguments.results is not None:
        return take(arguments, _jobs(arguments))
    jobs = _jobs(arguments)
    if not jobs:
        hint("there is no scenario to measure")
        return COULD_NOT
    if arguments.shard is not None:
        jobs = [job for job in jobs if arguments.shard.has(job.label)]
        if not jobs:
            hint("no measurement belongs to this part")
            return 0
    card = seen_gpu()
    plan = planned(jobs, card.total if isinstance(card, SeenGpu) else None)
    if arguments.plan:
        return _show(arguments, plan, card.name if isinstance(card, SeenGpu) else "no GPU")
    if isinstance(card, str):
        return _none_measured(arguments, plan, card)
    return _Run(arguments, [one.job for one in plan], card).go()


def _usage(arguments: argparse.Namespace) -> str:
    """Which flags do not go together; empty if all do."""
    if bool(arguments.paths) == bool(arguments.jobs):
        return "name specs, or a file of jobs by --jobs" + (", and not both" if arguments.jobs else "")
    for name, needed in (("jobs_file", "plan"), ("trace", "out"), ("readings", "results")):
        if getattr(arguments, name) and not getattr(arguments, needed):
            return f"--{name.replace('_', '-')} goes with --{needed}"
    if arguments.anew and not (arguments.write or arguments.readings):
        return "--anew goes with --write or --readings"
    return ""


def _jobs(arguments: argparse.Namespace) -> list[Measurable]:
    if arguments.jobs is not None:
        jobs = read_jobs(arguments.jobs)
        if isinstance(jobs, str):
            hint(f"{arguments.jobs}: {jobs}")
            return []
        return jobs
    from toolkit.checks.situations.measurable import measurables

    found = measurables(arguments.paths, Path(), arguments.scenario)
    for finding in found.findings:
        hint(str(finding))
    for reason in found.left_out:
        hint(reason)
    return found.jobs


def _show(arguments: argparse.Namespace, plan: Sequence[Planned], card: str) -> int:
    from toolkit.report.measure import plan_json, plan_text

    emit(plan_json(plan, card) if arguments.format == "json" else plan_text(plan, card, arguments.budget))
    if arguments.jobs_file is not None:
        try:
            write_whole(arguments.jobs_file, jobs_text(one.job for one in plan))
        except OSError as error:
            hint(f"{arguments.jobs_file} could not be written: {reason_of(error)}")
            return COULD_NOT
    return 0


def _none_measured(arguments: argparse.Namespace, plan: Sequence[Planned], reason: str) -> int:
    """Reports that nothing was measured, which is never a pass."""
    if arguments.format == "json":
        from toolkit.report.measure import measured_json

        emit(measured_json([], [(one.job.label, reason) for one in plan]))
    hint(f"{plural(len(plan), 'measurement')} not made: {reason}")
    return COULD_NOT


@dataclass(slots=True)
class _Run:
    """One campaign on the card of this machine."""

    arguments: argparse.Namespace
    jobs: list[Measurable]
    card: SeenGpu
    records: list[Record] = field(default_factory=list)
    measured: list[Measurable] = field(default_factory=list)
    left: list[tuple[str, str]] = field(default_factory=list)
    failed: bool = False

    def go(self) -> int:
        """Measures, stores and compares, and prints how many were not measured."""
        self.jobs = [replace(job, setting=replace(job.setting, gpu=self.card.name)) for job in self._runnable()]
        if self.arguments.out is not None:
            self.arguments.out.mkdir(parents=True, exist_ok=True)
        outcomes = campaign(self.jobs, self.arguments.budget, self.arguments.rounds, self.arguments.limit)
        with card_alone():
            for result in outcomes:
                self._one(result)
        if self.arguments.out is not None and self.arguments.trace:
            self._trace()
        if self.arguments.format == "json":
            from toolkit.report.measure import measured_json

            emit(measured_json(self.records, self.left))
        hint(f"{plural(len(self.records), 'record')}; {len(self.left)} not measured")
        return COULD_NOT if not self.records else FINDINGS if self.failed else 0

    def _runnable(self) -> Iterator[Measurable]:
        """The jobs for which this machine has enough GPUs and the libraries; the others are reported."""
        cards = max(1, count_cards())
        for job in self.jobs:
            reason = refusal(job.setting) or missing(job.setting)
            if job.setting.parallel.gpus > cards:
                reason = f"needs {job.setting.parallel.gpus} GPUs, and there {'is' if cards == 1 else 'are'} {cards}"
            if not reason:
                yield job
                continue
            self.left.append((job.label, reason))
            hint(f"{job.label}: not measured: {reason}")

    def _one(self, result: Result | Left) -> None:
        if self.arguments.out is not None:
            from toolkit.memory.measure.results import NAME, append

            append(self.arguments.out / NAME, result)
        name = f"{result.job.label}, round {result.round}"
        if isinstance(result, Left):
            if result.round == 1:
                self.left.append((result.job.label, result.reason))
            hint(f"{name}: not measured: {result.reason}")
            return
        hint(f"{name}: {result.outcome.text(self.card.name)}")
        if result.record is None:
            self.left.append((result.job.label, result.outcome.text()))
            return
        self.records.append(result.record)
        if result.round == 1:
            self.measured.append(result.job)
        if self.arguments.out is None:  # a leased machine measures; what comes of it is judged where the specs are
            self.failed |= _judged(self.arguments, result.job, result.record)
        if self.arguments.write and result.job.folder:
            self.failed |= not kept(result.record, Path(result.job.folder), anew=self.arguments.anew)

    def _trace(self) -> None:
        """Traces what was measured, with the same libraries."""
        from toolkit.memory.measure.results import NAME, append_trace
        from toolkit.memory.trace.many.campaign import Job, traced

        work = [Job(job.scenario, job.setting, job.facts) for job in self.measured]
        folders = {id(one): job.folder for one, job in zip(work, self.measured, strict=True)}
        for result in traced(work, os.cpu_count() or 1, lambda _: None):
            if result.record is not None:
                append_trace(self.arguments.out / NAME, folders[id(result.job)], result.record)


def _judged(arguments: argparse.Namespace, job: Measurable, record: Record) -> bool:
    """Prints a measurement beside the estimate; returns whether it is out of tolerance."""
    from toolkit.checks.situations.measurable import computed
    from toolkit.memory.measure.compare import compare
    from toolkit.memory.measure.records import fits
    from toolkit.report.measure import comparison_text

    if not fits(record):
        return False
    comparison = compare(record, computed(job), None)
    if arguments.format == "text":
        emit(comparison_text(record, comparison, paint_for(arguments.color)) + "\n")
    return bool(comparison.failures)
