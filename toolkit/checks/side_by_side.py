"""Work on many things, in a forked process for each core where that is possible, else in this process."""

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
"""Bytes of an index in the pipe from which all processes draw their work."""

MAX_THINGS = 2_000
"""The most indices that fit into the smallest pipe (one page): they are all written before any is read."""


def side_by_side(work: Callable[[Thing], Result], things: Sequence[Thing]) -> list[Result]:
    """The result of `work` for each thing, in order; things are begun in that order, too.

    Other processes only help: what they fail to deliver, this one does itself.
    """
    if not can_fork() or not 1 < len(things) <= MAX_THINGS:
        return [work(thing) for thing in things]
    places = _pipe_of_places(len(things))
    helpers: dict[int, int] = {}
    try:
        for _ in range(min(cores(), len(things)) - 1):
            helpers |= _helper(lambda place: work(things[place]), places, helpers.values())
        done = {place: work(things[place]) for place in _drawn(places)}
        for answers in helpers.values():
            with open(answers, "rb", closefd=False) as stream:
                done.update(from_bytes(stream.read()) or {})
    finally:
        _end(helpers)
        os.close(places)
    return [done[place] if place in done else work(thing) for place, thing in enumerate(things)]


def cores() -> int:
    """The number of cores that this process may run on; 1 where forking is not safe."""
    if sys.platform != "linux":  # elsewhere, system libraries do not survive a fork
        return 1
    return len(os.sched_getaffinity(0))


def can_fork() -> bool:
    """Whether there is a second core, and no second thread, which a forked process would lack."""
    return cores() > 1 and len(list(Path("/proc/self/task").iterdir())) == 1


def _pipe_of_places(count: int) -> int:
    """A pipe that holds the indices of all things, and nothing after them."""
    places, end = os.pipe()
    os.write(end, b"".join(place.to_bytes(NUMBER, "big") for place in range(count)))
    os.close(end)
    return places


def _drawn(places: int) -> Iterator[int]:
    """The indices that this process draws, each when it has finished the one before."""
    while drawn := os.read(places, NUMBER):
        yield int.from_bytes(drawn, "big")


def _helper(work: Callable[[int], object], places: int, others: Iterable[int]) -> dict[int, int]:
    """A new helper process with the pipe on which it answers; empty where no more can be made."""
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
    """Ends all helpers: they have finished, or their results are no longer needed."""
    for child in helpers:
        os.kill(child, signal.SIGKILL)
    for child, answers in helpers.items():
        os.waitpid(child, 0)
        os.close(answers)


def _help(work: Callable[[int], object], places: int, answer: int, answers: Iterable[int]) -> NoReturn:
    """The body of a helper. It leaves by `_exit`: nothing of the first process is flushed or cleaned up twice."""
    try:
        for one in answers:
            os.close(one)  # else a writer would block for ever if the first process were gone
        written = as_bytes({place: work(place) for place in _drawn(places)})
        with open(answer, "wb") as stream:
            stream.write(written)
    finally:
        os._exit(0)


def as_bytes(results: object) -> bytes:
    """Results as bytes, for another process of this program.

    A fraction is pickled as two numbers; its own way is a text, which is slow to parse.
    """
    stream = io.BytesIO()
    pickler = pickle.Pickler(stream, pickle.HIGHEST_PROTOCOL)
    pickler.dispatch_table = copyreg.dispatch_table | {Fraction: lambda one: (Fraction, one.as_integer_ratio())}
    pickler.dump(results)
    return stream.getvalue()


def from_bytes(written: bytes) -> Any:
    """The results of another process; None where it did not finish."""
    try:
        return pickle.loads(written)  # noqa: S301 - written by a process of this program
    except (EOFError, pickle.UnpicklingError):
        return None
