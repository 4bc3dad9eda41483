"""What each of several GPUs sees of a run: all of it is somebody's, in the same order, and nothing is two's."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from toolkit.memory.ledger import Category
from toolkit.memory.timeline.one_gpu import each_gpu, fullest_gpu
from toolkit.memory.timeline.stream import Run
from toolkit.memory.timeline.timeline import Allocation, Timeline


@st.composite
def runs(draw: st.DrawFn) -> Run:
    """Allocations of 512 bytes and more on up to three GPUs, some of them released, in two phases."""
    timeline, alive = Timeline(), []
    timeline.mark("first")
    for number in range(draw(st.integers(1, 30))):
        if alive and draw(st.booleans()):
            timeline.release(alive.pop(draw(st.integers(0, len(alive) - 1))))
        else:
            made = Allocation(512 * draw(st.integers(1, 9)), f"made {number}", "", gpu=draw(st.integers(0, 2)))
            alive.append(timeline.allocate(made))
        if number == 7:
            timeline.mark("second")
    return Run(timeline, dict.fromkeys(alive, Category.WEIGHTS))


@given(runs())
def test_every_allocation_is_on_one_gpu_in_its_order(run: Run) -> None:
    parts = list(each_gpu(run))
    for part in parts:
        [gpu] = {made.gpu for made in part.timeline.allocations}
        assert part.timeline.allocations == [made for made in run.timeline.allocations if made.gpu == gpu]
        assert [name for _, name in part.timeline.marks] == ["first", *["second"] * (len(run.timeline.marks) > 1)]
    assert sum(len(part.timeline.events) for part in parts) == len(run.timeline.events)
    assert sum(len(part.kinds) for part in parts) == len(run.kinds)


@given(runs())
def test_what_is_alive_in_the_end_is_alive_on_some_gpu(run: Run) -> None:
    def left(one: Run) -> int:
        timeline = one.timeline
        return sum(timeline.allocations[index].bytes for index in timeline.alive(len(timeline.events) - 1))

    assert sum(map(left, each_gpu(run))) == left(run)


def test_the_fullest_is_the_one_with_the_highest_peak() -> None:
    timeline = Timeline()
    timeline.mark("only")
    timeline.release(timeline.allocate(Allocation(4096, "passing", "", gpu=1)))
    timeline.allocate(Allocation(2048, "lasting", ""))
    assert [made.operation for made in fullest_gpu(Run(timeline)).timeline.allocations] == ["passing"]
