"""The part of a run on several GPUs that one of them sees."""

from __future__ import annotations

from collections.abc import Iterator

from toolkit.memory.timeline.stream import Run
from toolkit.memory.timeline.timeline import Timeline


def each_gpu(run: Run) -> Iterator[Run]:
    """The run as seen by each GPU that has a part of it, in the order of GPUs."""
    for gpu in sorted({made.gpu for made in run.timeline.allocations}):
        yield _on(run, gpu)


def fullest_gpu(run: Run) -> Run:
    """The run as seen by the GPU that needs most; the first of equal ones."""
    return max(each_gpu(run), key=needs)


def needs(run: Run) -> int:
    """The most bytes that are alive at once."""
    return max(moment.bytes for moment in run.timeline.peaks().values())


def _on(run: Run, gpu: int) -> Run:
    old, new = run.timeline, Timeline()
    number: dict[int, int] = {}
    marks = iter(old.marks)
    mark = next(marks, None)
    for event, change in enumerate(old.events):
        while mark is not None and mark[0] <= event:
            new.mark(mark[1])
            mark = next(marks, None)
        index = abs(change) - 1
        if old.allocations[index].gpu != gpu:
            continue
        if change > 0:
            number[index] = new.allocate(old.allocations[index])
        else:
            new.release(number[index])
    while mark is not None:
        new.mark(mark[1])
        mark = next(marks, None)
    return Run(new, {number[index]: kind for index, kind in run.kinds.items() if index in number})
