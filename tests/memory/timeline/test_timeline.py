"""Timelines: peaks by phase, what is alive, and their replay."""

from __future__ import annotations

from toolkit.memory.timeline.timeline import Allocation, Moment, Timeline

MIB = 1 << 20


def _allocation(size: int) -> Allocation:
    return Allocation(size, "aten::empty", "")


def test_a_phase_is_as_full_as_its_fullest_moment_and_what_it_starts_with() -> None:
    timeline = Timeline()
    timeline.mark("load")
    weights = timeline.allocate(_allocation(1000))  # counted as 1,024
    timeline.mark("run")
    first = timeline.allocate(_allocation(512))
    timeline.release(first)
    timeline.allocate(_allocation(256))
    timeline.mark("end")
    timeline.release(weights)
    assert timeline.peaks() == {"load": Moment(1024, 0), "run": Moment(1536, 1), "end": Moment(1536, 3)}


def test_what_is_alive_is_what_was_made_and_not_released() -> None:
    timeline = Timeline()
    kept, gone = timeline.allocate(_allocation(1)), timeline.allocate(_allocation(2))
    timeline.release(gone)
    assert timeline.alive(1) == {kept, gone}
    assert timeline.alive(2) == {kept}
    assert timeline.alive(-1) == set()


def test_a_replay_starts_from_what_is_loaded_and_not_from_how_it_was_made() -> None:
    timeline = Timeline()
    scratch = timeline.allocate(_allocation(100 * MIB))
    timeline.allocate(_allocation(12 * MIB))
    timeline.release(scratch)
    timeline.mark("load")
    timeline.allocate(_allocation(30 * MIB))
    timeline.allocate(_allocation(0))
    replayed = timeline.replay("load")
    assert (replayed.allocated, replayed.reserved) == (42 * MIB, 42 * MIB)


def test_a_warmed_allocator_cuts_the_loaded_tensors_out_of_one_segment() -> None:
    timeline = Timeline()
    for _ in range(3):
        timeline.allocate(_allocation(11 * MIB))
    timeline.mark("load")
    assert timeline.replay("load").reserved == 36 * MIB  # three segments, each rounded up to 2 MiB
    assert timeline.replay("load", warm=True).reserved == 34 * MIB  # one
