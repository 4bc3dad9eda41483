"""Traces of the runs of published readings: `toolkit trace FOLDER --readings stated`."""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from toolkit.cli.main import COULD_NOT
from toolkit.cli.output import emit, hint, reason_of
from toolkit.cli.readings_of import sources_in
from toolkit.finding import printable
from toolkit.memory.trace.many.campaign import Job, Result, traced
from toolkit.memory.trace.stack.apart import traced_apart
from toolkit.memory.trace.stack.environment import environment
from toolkit.memory.trace.stack.named import NamedStack, named_stack
from toolkit.report.terminal import line

if TYPE_CHECKING:
    from toolkit.accuracy.traced.chosen import Chosen
    from toolkit.accuracy.traced.kept import Kept
    from toolkit.accuracy.traced.lines import TracedLine

STATED, INSTALLED = "stated", "installed"
"""Which releases trace a run: those that its record states, or those of this environment."""

EVERY_SO_MANY = 10
"""How many traces are made between two writes, so that an interrupted run keeps most of them."""

Say = Callable[[str], None]
Pins = tuple[tuple[str, str], ...]


def trace_readings(arguments: argparse.Namespace, say: Say) -> int:
    """Traces the chosen runs, prints each beside its reading, and stores the traces with --write."""
    from toolkit.accuracy.traced.kept import Kept, to_trace

    sources = sources_in(arguments.paths)
    if sources is None:
        return COULD_NOT
    chosen = to_trace([source for source, _ in sources], stated=arguments.readings == STATED)
    try:
        kept = Kept({source.slug: folder for source, folder in sources}, chosen)
    except (OSError, ValueError) as error:
        hint(f"cannot read the kept traces: {reason_of(error)}")
        return COULD_NOT
    jobs = [one for one in chosen if not arguments.scenario or one.run in arguments.scenario]
    if arguments.missing:
        jobs = [one for one in jobs if not kept.has(one)]
    if not jobs:
        hint("there is no reading to trace" if not arguments.missing else "every reading has its trace")
        return 0 if arguments.missing else COULD_NOT
    return _traced(arguments, jobs, kept, say)


def _traced(arguments: argparse.Namespace, jobs: Sequence[Chosen], kept: Kept, say: Say) -> int:
    """Traces stack by stack; equal runs are traced once."""
    by_stack: dict[Pins, list[Chosen]] = defaultdict(list)
    for one in {one.key: one for one in jobs}.values():
        by_stack[one.pins].append(one)
    count = sum(map(len, by_stack.values()))
    done = 0
    for pins, some in by_stack.items():
        for made in _of_stack(pins, some, arguments.jobs, say):
            done += 1
            emit(f"[{done}/{count}] {line(_said(made, some))}\n")
            kept.add(made)
            if arguments.write and (done % EVERY_SO_MANY == 0 or done == count) and not _written(kept):
                return COULD_NOT
    return 0


def _written(kept: Kept) -> bool:
    try:
        kept.write()
    except OSError as error:
        hint(f"the traces could not be written: {reason_of(error)}")
        return False
    return True


def _of_stack(pins: Pins, chosen: Sequence[Chosen], processes: int, say: Say) -> Iterator[TracedLine]:
    """The traces with one stack as they finish, or for each the reason why the stack cannot be made."""
    from toolkit.accuracy.traced.kept import line_for

    by_job = {one.of: one for one in chosen}
    jobs = [Job(of, one.setting, one.facts) for of, one in by_job.items()]
    for result in _results(pins, jobs, processes, say, lambda _: None):
        yield line_for(by_job[result.job.scenario], result)


def _results(pins: Pins, jobs: list[Job], processes: int, say: Say, layers: Say) -> Iterator[Result]:
    """Results with one stack. `say` is told of new environments, `layers` of the progress of each trace."""
    if not pins:
        yield from traced(jobs, processes, layers)
        return
    stack = named_stack(",".join(f"{name}=={version}" for name, version in pins))
    made = environment(stack, say) if isinstance(stack, NamedStack) else stack
    if isinstance(made, str):
        yield from (Result(job, None, made) for job in jobs)
        return
    yield from traced_apart(made.python, jobs, processes, layers)


def _said(made: TracedLine, chosen: Sequence[Chosen]) -> str:
    """One trace beside its reading, in words."""
    if made.reason:
        return printable(f"{made.run}: {made.reason}")
    one = next(one for one in chosen if one.of == made.of)
    return printable(f"{made.run}: {made.blocks[0]:,} traced, {one.score.read:,} read; {made.traced}")
