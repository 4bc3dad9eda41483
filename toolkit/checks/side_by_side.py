"""Work on many things in two processes, where a second can be forked; in one, where none can."""

from __future__ import annotations

import copyreg
import io
import os
import pickle
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NoReturn, TypeVar

Thing = TypeVar("Thing")
Result = TypeVar("Result")

NUMBER = 4
"""Bytes in which the place of a thing is written to the pipe from which both processes draw."""
MAX_THINGS = 1_000
"""So many places fit into the smallest pipe, one page: more could not be written before the first is read."""


def side_by_side(work: Callable[[Thing], Result], things: Sequence[Thing]) -> list[Result]:
    """The result of `work` for each thing, in order. What comes first is begun first.

    The second process only ever helps: whatever it does not hand over, the first does itself.
    """
    if not can_fork() or not 1 < len(things) <= MAX_THINGS:
        return [work(thing) for thing in things]
    places = _pipe_of_places(len(things))
    answers, answer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(answers)  # or it would wait for ever to be read, were the first process gone
        _help(lambda place: work(things[place]), places, answer)
    os.close(answer)
    try:
        done = {place: work(things[place]) for place in _drawn(places)}
        with open(answers, "rb", closefd=False) as stream:
            done.update(from_bytes(stream.read()) or {})
    finally:
        os.kill(child, signal.SIGKILL)  # it is through, or nobody waits for it any more
        os.waitpid(child, 0)
        os.close(answers)
        os.close(places)
    return [done[place] if place in done else work(thing) for place, thing in enumerate(things)]


def can_fork() -> bool:
    """Whether there is a second core, and no thread that a forked process would be without."""
    if sys.platform != "linux":  # system libraries of others do not outlive a fork
        return False
    return len(os.sched_getaffinity(0)) > 1 and len(list(Path("/proc/self/task").iterdir())) == 1


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


def _help(work: Callable[[int], object], places: int, answer: int) -> NoReturn:
    """What the second process does: it ends here, and nothing of the first's is written or cleaned up twice."""
    try:
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
