"""Timelines of imagined models of many layers, written out from those of few, against the same models at full depth."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.memory.ledger import Category
from toolkit.memory.timeline.pattern import NoPatternError, insertions, learn
from toolkit.memory.timeline.stream import Run, settled
from toolkit.memory.timeline.timeline import Allocation, Stage, Timeline

SIZES = (512, 1024, 4096, 999, 1 << 20)


def imagined(layers: int, kept: list[int], passing: list[int], *, first_differs: bool = True, stacked: int = 0) -> Run:
    """A training step: weights, forward that keeps activations, backward in reverse, an optimizer over all weights."""
    timeline, kinds = Timeline(), {}
    timeline.mark("load")

    def make(size: int, operation: str, module: str, stage: Stage = Stage.FORWARD) -> int:
        return timeline.allocate(Allocation(size, operation, module, stage))

    weights = [make(4096, "weight", f"model.layers.{layer}.mlp") for layer in range(layers) for _ in range(2)]
    kinds.update(dict.fromkeys(weights, Category.WEIGHTS))
    timeline.mark("forward")
    states = make(2048, "embed", "model.embed")
    saved = []
    for layer in range(layers):
        path = f"model.layers.{layer}.mlp"
        mine = [make(size, f"keep{number}", path) for number, size in enumerate(kept)]
        for size in passing:
            timeline.release(make(size, "pass", path))
        after = make(2048, "add", f"model.layers.{layer}")
        timeline.release(states)
        states = after
        saved.append(mine)
    timeline.mark("backward")
    gradient = make(2048, "grad", "model.head", Stage.BACKWARD)
    gradients = []
    for layer in reversed(range(layers)):
        for index in saved[layer]:
            timeline.release(index)
        gradients.append(make(4096, "mm", f"model.layers.{layer}.mlp", Stage.BACKWARD))
        if layer or not first_differs:
            before = make(2048, "mm", f"model.layers.{layer}", Stage.BACKWARD)
            timeline.release(gradient)
            gradient = before
    timeline.mark("step")
    timeline.release(make(512 * layers * stacked, "stack", "", Stage.STEP))
    roots = [make(4096, "sqrt", "", Stage.STEP) for _ in weights]
    for index in [*roots, *reversed(gradients)]:
        timeline.release(index)
    return Run(timeline, kinds)


@given(
    st.lists(st.sampled_from(SIZES), max_size=4),
    st.lists(st.sampled_from(SIZES), max_size=3),
    st.booleans(),
    st.integers(0, 2),
)
def test_every_event_of_a_deep_model_follows_from_shallow_ones(
    kept: list[int], passing: list[int], first_differs: bool, stacked: int
) -> None:
    def whole(layers: int) -> Run:
        return imagined(layers, kept, passing, first_differs=first_differs, stacked=stacked)

    pattern = learn([whole(layers) for layers in (5, 6, 7)])
    for layers in (5, 6, 7, 8, 40):
        grown, expected = pattern.run(layers - 5), whole(layers)
        assert grown.timeline.allocations == expected.timeline.allocations
        assert grown.timeline.events == expected.timeline.events
        assert grown.timeline.marks == expected.timeline.marks
        assert grown.kinds == expected.kinds


def test_layers_that_come_in_turns_repeat_by_their_period() -> None:
    def run(layers: int) -> Run:
        timeline = Timeline()
        for layer in range(layers):
            timeline.allocate(Allocation(1024 if layer % 3 else 4096, "keep", f"layers.{layer}"))
        return Run(timeline)

    pattern = learn([run(layers) for layers in (4, 7, 10)])
    assert pattern.run(7).timeline == run(25).timeline
    with pytest.raises(NoPatternError):
        learn([run(layers) for layers in (4, 5, 6)])


def test_what_does_not_grow_evenly_is_refused() -> None:
    def run(layers: int) -> Run:
        timeline = Timeline()
        timeline.allocate(Allocation(512 * layers * layers, "scores", ""))
        return Run(timeline)

    with pytest.raises(NoPatternError, match="evenly"):
        learn([run(layers) for layers in (3, 4, 5)])


def test_a_release_out_of_order_is_not_extrapolated() -> None:
    """Which layer is let go first depends on an odd or even count: a line through three counts is none."""

    def run(layers: int) -> Run:
        timeline = Timeline()
        made = [timeline.allocate(Allocation(512, "keep", f"layers.{layer}")) for layer in range(layers)]
        timeline.mark("release")
        timeline.release(made[layers % 2])
        timeline.allocate(Allocation(1024, "other", ""))
        return Run(timeline)

    with pytest.raises(NoPatternError, match="evenly"):
        learn([run(layers) for layers in (3, 4, 5)])


@pytest.mark.parametrize(
    ("short", "long", "expected"),
    [
        ("abab", "ababab", [(4, 4, 2)]),
        ("xabaBy", "xababaBy", None),
        ("aab", "aaab", [(2, 2, 1)]),
    ],
)
def test_insertions_repeat_what_they_stand_behind(short: str, long: str, expected: object) -> None:
    found = insertions([*map(ord, short)], [*map(ord, long)])
    rebuilt, done = "", 0
    for at, start, length in found:
        rebuilt += short[done:at] + long[start : start + length]
        assert long[start - length : start] == long[start : start + length]
        done = at
    assert rebuilt + short[done:] == long
    assert expected is None or sum(length for _, _, length in found) == len(long) - len(short)


def test_what_repeats_nothing_is_no_layer() -> None:
    with pytest.raises(NoPatternError, match="not followed by a further layer"):
        insertions([1, 2, 3], [1, 9, 2, 3])


def test_a_settled_run_starts_from_what_is_loaded() -> None:
    timeline = Timeline()
    timeline.mark("build")
    kept, gone, late = (timeline.allocate(Allocation(size, "empty", "")) for size in (512, 1024, 2048))
    timeline.release(gone)
    timeline.mark("load")
    timeline.mark("run")
    more = timeline.allocate(Allocation(4096, "empty", ""))
    for index in (more, late, kept):
        timeline.release(index)
    timeline.mark("end")
    run = settled(Run(timeline, {late: Category.WEIGHTS, gone: Category.WEIGHTS}), "load")
    assert [made.bytes for made in run.timeline.allocations] == [512, 2048, 4096]
    assert run.timeline.events == [1, 2, 3, -1, -2, -3]
    assert run.timeline.marks == [(2, "load"), (2, "run"), (6, "end")]
    assert run.kinds == {1: Category.WEIGHTS}
    assert run.timeline.replay("load") == timeline.replay("load")
    peaks = timeline.peaks()
    assert all(moment.bytes == peaks[phase].bytes for phase, moment in run.timeline.peaks().items() if phase)


@pytest.mark.parametrize("layers", [3, 4, 9])
def test_every_allocation_names_the_one_that_it_repeats(layers: int) -> None:
    """Of the smallest timeline: with the same bytes, by the same operation; what grows with the layers names none."""
    small, *_ = runs = [imagined(count, [1024, 999], [512], stacked=1) for count in (3, 4, 5)]
    written, origins = learn(runs).written(layers - 3)
    assert len(origins) == len(written.timeline.allocations)
    for made, origin in zip(written.timeline.allocations, origins, strict=True):
        if made.operation == "stack":
            assert origin is None
            continue
        assert origin is not None
        first = small.timeline.allocations[origin]
        assert (made.bytes, made.operation, made.stage) == (first.bytes, first.operation, first.stage)
