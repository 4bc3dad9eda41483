"""Work on many things in as many processes as there are cores, where they can be forked; in one, where none can."""

from __future__ import annotations

import copyreg
import io
import os
import pickle
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NoReturn, TypeVar

Thing = TypeVar("Thing")
Result = TypeVar("Result")

NUMBER = 2
"""Bytes in which the place of a thing is written to the pipe from which all processes draw."""
MAX_THINGS = 2_000
"""So many places fit into the smallest pipe, one page: more could not be written before the first is read."""


def side_by_side(
    work: Callable[[Thing], Result], things: Sequence[Thing], meanwhile: Callable[[], object] | None = None
) -> list[Result]:
    """The result of `work` for each thing, in order. What comes first is begun first.

    Other processes only ever help: whatever they do not hand over, the first does itself. Where there are any, it does
    something else `meanwhile`, which nobody else can, and then joins them.
    """
    if not can_fork() or not 1 < len(things) <= MAX_THINGS:
        return [work(thing) for thing in things]
    places = _pipe_of_places(len(things))
    helpers: dict[int, int] = {}
    try:
        for _ in range(min(cores(), len(things)) - 1):
            helpers |= _helper(lambda place: work(things[place]), places, helpers.values())
        if helpers and meanwhile is not None:
            meanwhile()
        done = {place: work(things[place]) for place in _drawn(places)}
        for answers in helpers.values():
            with open(answers, "rb", closefd=False) as stream:
                done.update(from_bytes(stream.read()) or {})
    finally:
        _end(helpers)
        os.close(places)
    return [done[place] if place in done else work(thing) for place, thing in enumerate(things)]


def cores() -> int:
    """The cores that this process may run on; one, where forked processes do not work."""
    if sys.platform != "linux":  # system libraries of others do not outlive a fork
        return 1
    return len(os.sched_getaffinity(0))


def can_fork() -> bool:
    """Whether there is a second core, and no thread that a forked process would be without."""
    return cores() > 1 and len(list(Path("/proc/self/task").iterdir())) == 1


def _pipe_of_places(count: int) -> int:
    """A pipe that holds the places of all things, and ends after them."""
    places, end = os.pipe()
    os.write(end, b"".join(place.to_bytes(NUMBER, "big") for place in range(count)))
    os.close(end)
    return places


def _drawn(places: int) -> Iterator[int]:
    """The places that this process draws, each when it is done with the one before."""
    while drawn := os.read(places, NUMBER):
        yield int.from_bytes(drawn, "big")


def _helper(work: Callable[[int], object], places: int, others: Iterable[int]) -> dict[int, int]:
    """A process that helps, and the pipe by which it answers beside `others`; none where no more can be had."""
    try:
        answers, answer = os.pipe()
    except OSError:
        return {}
    try:
        child = os.fork()
    except OSError:
        os.close(answers)
        os.close(answer)
        return {}
    if child == 0:
        _help(work, places, answer, (answers, *others))
    os.close(answer)
    return {child: answers}


def _end(helpers: Mapping[int, int]) -> None:
    """They are through, or nobody waits for them any more."""
    for child in helpers:
        os.kill(child, signal.SIGKILL)
    for child, answers in helpers.items():
        os.waitpid(child, 0)
        os.close(answers)


def _help(work: Callable[[int], object], places: int, answer: int, answers: Iterable[int]) -> NoReturn:
    """What a helper does: it ends here, and nothing of the first's is written or cleaned up twice."""
    try:
        for one in answers:
            os.close(one)  # or whoever writes there would wait for ever to be read, were the first process gone
        written = as_bytes({place: work(place) for place in _drawn(places)})
        with open(answer, "wb") as stream:
            stream.write(written)
    finally:
        os._exit(0)


def as_bytes(results: object) -> bytes:
    """Results as bytes, for a process forked with this one.

    A fraction goes as two numbers: as text, which is its own way, it would have to be parsed.
    """
    stream = io.BytesIO()
    pickler = pickle.Pickler(stream, pickle.HIGHEST_PROTOCOL)
    pickler.dispatch_table = copyreg.dispatch_table | {Fraction: lambda one: (Fraction, one.as_integer_ratio())}
    pickler.dump(results)
    return stream.getvalue()


def from_bytes(written: bytes) -> Any:
    """The results of another process; None, where it did not come to the end."""
    try:
        return pickle.loads(written)  # noqa: S301 - this program's other half wrote it
    except (EOFError, pickle.UnpicklingError):
        return None
