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
EVERY_SO_MANY = 10
"""Traces after which they are written, so that a run that is broken off keeps what it has."""

Say = Callable[[str], None]
Pins = tuple[tuple[str, str], ...]


def trace_readings(arguments: argparse.Namespace, say: Say) -> int:
    """Traces what is chosen, prints each beside its reading, and keeps the traces where that is asked for."""
    from toolkit.accuracy.traced.kept import Kept, to_trace

    sources = sources_in(arguments.paths)
    if sources is None:
        return COULD_NOT
    chosen = to_trace([source for source, _ in sources], stated=arguments.readings == STATED)
    try:
        kept = Kept({source.slug: folder for source, folder in sources}, chosen)
    except (OSError, ValueError) as error:
        hint(printable(reason_of(error) if isinstance(error, OSError) else str(error)))
        return COULD_NOT
    jobs = [one for one in chosen if not arguments.scenario or one.run in arguments.scenario]
    if arguments.missing:
        jobs = [one for one in jobs if not kept.has(one)]
    if not jobs:
        hint("there is no reading to trace" if not arguments.missing else "every reading has its trace")
        return 0 if arguments.missing else COULD_NOT
    return _traced(arguments, jobs, kept, say)


def _traced(arguments: argparse.Namespace, jobs: Sequence[Chosen], kept: Kept, say: Say) -> int:
    """Traces with one stack after the other; runs that are the same are traced once."""
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
    """The traces with one stack, as they come; where it cannot be made, why, for each."""
    from toolkit.accuracy.traced.kept import line_for

    by_job = {one.of: one for one in chosen}
    jobs = [Job(of, one.setting, one.facts) for of, one in by_job.items()]
    for result in _results(pins, jobs, processes, say, lambda _: None):
        yield line_for(by_job[result.job.scenario], result)


def _results(pins: Pins, jobs: list[Job], processes: int, say: Say, layers: Say) -> Iterator[Result]:
    """Results with one stack. `say` hears of environments that are made, `layers` how far each trace is."""
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
    """One trace beside the reading that it is of."""
    if made.reason:
        return printable(f"{made.run}: {made.reason}")
    one = next(one for one in chosen if one.of == made.of)
    return printable(f"{made.run}: {made.blocks[0]:,} traced, {one.score.read:,} read; {made.traced}")
