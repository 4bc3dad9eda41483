"""Which micro-batches are on their way on a stage: as the papers say, and as torch's code keeps their messages."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.memory.trace.cut import cut
from toolkit.memory.estimate import Estimate, estimate
from toolkit.memory.ledger import PhaseName
from toolkit.memory.parallel.schedule import Beside, layers_of, moments_of
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.replay.reserved import replayed
from toolkit.spec.settings.setting import Parallel, Setting, Stack

MISTRAL = "mistralai/Mistral-7B-v0.1"
FULL = Setting(
    MISTRAL, "full", "bf16", batch_size=1, sequence_length=1024, gradient_accumulation=8, attention="sdpa",
    stack=Stack("plain", loss="from-logits"), parallel=Parallel(4, "pipeline", schedule="1f1b", returns_outputs=False),
)  # fmt: skip
HIDDEN = 1024 * 4096 * 2
LOGITS = 1024 * 32_000 * 2


def row(part: Estimate, phase: PhaseName, name: str) -> int:
    """The bytes of a row."""
    found = part.ledger.phase(phase)
    assert found is not None
    return sum(one.bytes for one in found.rows if one.name == name)


@given(stages=st.integers(2, 12), data=st.data())
def test_1f1b_keeps_as_many_as_stages_follow(stages: int, data: st.DataObject) -> None:
    """Narayanan et al., arXiv 2104.04473, section 2.2.1: at most the depth of the pipeline on its first stage."""
    count = data.draw(st.integers(stages, 40))
    for stage in range(stages):
        moments = moments_of("1f1b", count, stage, stages, returns=False)
        every = (*moments.first_backward, *moments.later_backward)
        assert max(one.waiting for one in every) + 1 == stages - stage
        assert max(one.waiting for one in moments.first_forward) + 1 == stages - stage


@given(count=st.integers(1, 40), stage=st.integers(0, 5))
def test_gpipe_keeps_all(count: int, stage: int) -> None:
    """Huang et al., arXiv 1811.06965: all of a mini-batch go forward before any goes back."""
    moments = moments_of("gpipe", count, stage, 6, returns=False)
    assert {one.waiting for one in moments.first_backward} == {count - 1}
    assert not moments.later_forward
    if count > 1:
        assert max(one.waiting for one in moments.later_backward) == count - 2


def as_torch_runs_1f1b(count: int, stage: int, stages: int) -> list[tuple[bool, bool, Beside]]:
    """Schedule1F1B._step_microbatches with numbers for tensors: forward or not, whether gradients are there, the rest.

    Its variables are torch's own: what has been sent is held by whichever of them still names it.
    """
    seen: list[tuple[bool, bool, Beside]] = []
    cache: list[int] = []
    sent_forward, send_work, sent_back, named, last = None, None, None, None, stage == stages - 1
    backs = forwards = 0

    def note(forward: bool, own: int | None) -> None:
        messages = {sent_forward, send_work[1] if send_work and send_work[0] == "f" else None}
        results = {one for one in messages if one is not None and one not in cache and one != own}
        gradients = {sent_back, send_work[1] if send_work and send_work[0] == "b" else None} - {None}
        name = int(forward and last and named is not None and named not in cache)
        beside = Beside(len(cache), 0 if last else len(results), len(gradients) if stage else 0, name)
        seen.append((forward, backs > 0, beside))

    def go_forward() -> None:
        nonlocal forwards, named, sent_forward
        note(True, None)
        cache.append(forwards)
        named = sent_forward = forwards
        forwards += 1

    def go_back() -> None:
        nonlocal backs, sent_back
        cache.remove(backs)
        note(False, backs)
        sent_back, backs = backs, backs + 1

    ahead = min(count, stages - stage)
    for number in range(ahead):
        go_forward()
        if number != ahead - 1:
            send_work = "f", number
    while True:
        go_back()
        if forwards == count:
            break
        go_forward()
    send_work = "b", backs - 1
    while backs < count:
        go_back()
        send_work = "b", backs - 1
    return seen


@given(stages=st.integers(2, 6), data=st.data())
def test_1f1b_has_beside_it_what_torchs_variables_name(stages: int, data: st.DataObject) -> None:
    count, stage = data.draw(st.integers(stages, 40)), data.draw(st.integers(0, stages - 1))
    moments = moments_of("1f1b", count, stage, stages, returns=False)
    known = {
        (True, False): moments.first_forward, (False, False): moments.first_backward,
        (True, True): moments.later_forward, (False, True): moments.later_backward,
    }  # fmt: skip
    seen = as_torch_runs_1f1b(count, stage, stages)
    for key, largest in known.items():
        those = [beside for forward, made, beside in seen if (forward, made) == key]
        assert all(any(one.reaches(beside) for one in largest) for beside in those), key
        assert all(one in those for one in largest), key


@given(count=st.integers(1, 30))
def test_returned_results_and_waiting_micro_batches_are_all_there_are(count: int) -> None:
    """On the last stage each other micro-batch either waits for its way back or has left its result."""
    moments = moments_of("gpipe", count, 3, 4, returns=True)
    for one in (*moments.first_backward, *moments.later_backward):
        assert one.waiting + one.results == count - 1
    later = moments_of("1f1b", count + 4, 3, 4, returns=True).later_backward
    assert {(one.waiting, one.results) for one in later} == {(0, count + 3)}


@pytest.mark.parametrize("schedule", ["gpipe", "1f1b"])
def test_any_number_of_micro_batches_is_answered_at_once(schedule: str) -> None:
    count = 10**9
    assert max(one.waiting for one in moments_of(schedule, count, 0, 4, returns=True).first_backward) >= 3
    many = replace(FULL, gradient_accumulation=count, parallel=replace(FULL.parallel, schedule=schedule))
    assert estimate(many, cut(MISTRAL, 8)).allocated > count
    assert replayed(estimate(many, cut(MISTRAL, 8)))[0] >= estimate(many, cut(MISTRAL, 8)).allocated


def test_a_stage_has_the_gradients_that_it_sent() -> None:
    """GPipe waits for its messages at the end, 1F1B has a name for the last one; the first stage sends none."""
    assert max(one.sent for one in moments_of("gpipe", 8, 1, 4, returns=False).later_backward) == 7
    assert {one.sent for one in moments_of("1f1b", 8, 1, 4, returns=False).later_backward} == {1}
    assert {one.sent for one in moments_of("gpipe", 8, 0, 4, returns=False).later_backward} == {0}


def test_first_stages_hold_more_micro_batches() -> None:
    parts = estimate(FULL, cut(MISTRAL, 8)).each
    scores = [row(part, PhaseName.BACKWARD, "attention_output") for part in parts]
    assert [score // scores[-1] for score in scores] == [4, 3, 2, 1]


def test_buffers_are_there_for_every_micro_batch() -> None:
    parts = estimate(FULL, cut(MISTRAL, 8)).each
    buffers = [row(part, PhaseName.OPTIMIZER_STEP, "received_buffers") for part in parts]
    assert buffers == [8 * HIDDEN, 16 * HIDDEN, 16 * HIDDEN, 8 * HIDDEN]


def test_results_that_are_returned_stay_and_are_joined() -> None:
    returning = replace(FULL, parallel=replace(FULL.parallel, returns_outputs=True))
    last = estimate(returning, cut(MISTRAL, 8)).each[-1]
    assert row(last, PhaseName.OPTIMIZER_STEP, "returned_results") == 8 * LOGITS
    assert row(estimate(FULL, cut(MISTRAL, 8)).each[-1], PhaseName.OPTIMIZER_STEP, "returned_results") == 0


def test_each_stage_has_its_own_part() -> None:
    parts = estimate(FULL, cut(MISTRAL, 8)).each
    layer = 4096 * (4096 * 2 + 1024 * 2) + 3 * 4096 * 14_336 + 2 * 4096
    ends = [32_000 * 4096, 0, 0, 32_000 * 4096 + 4096]
    assert [row(part, PhaseName.LOAD, "weights") for part in parts] == [2 * (2 * layer + end) for end in ends]


@pytest.mark.parametrize(
    ("changes", "layers", "reason"),
    [
        ({"gradient_accumulation": 3}, 8, "fewer micro-batches"),
        ({}, 6, "cannot be split evenly into 4 stages"),
        ({"model": "Qwen/Qwen3-0.6B"}, 8, "the embedding's on two stages"),
        ({"model": "facebook/opt-6.7b"}, 8, "the embedding's on two stages|an embedding, layers, a norm and a head"),
        ({"stack": Stack("transformers")}, 8, "transformers, but for a plain loop"),
        ({"method": "inference"}, 8, "inference"),
        ({"stack": Stack("plain", versions={"torch": "2.6.0"})}, 8, "torch before 2.13"),
    ],
)
def test_what_is_not_known_is_refused(changes: dict[str, Any], layers: int, reason: str) -> None:
    setting = replace(FULL, **changes)
    with pytest.raises(UnsupportedRow, match=reason):
        estimate(setting, cut(setting.model, layers))


@given(gpus=st.integers(1, 16), each=st.integers(1, 20))
def test_every_layer_is_on_one_stage(gpus: int, each: int) -> None:
    ranges = [layers_of(gpus * each, Parallel(gpus), stage) for stage in range(gpus)]
    assert [layer for first, end in ranges for layer in range(first, end)] == list(range(gpus * each))


@given(st.lists(st.integers(1, 9), min_size=1, max_size=9))
def test_stages_have_the_layers_that_are_said(said: list[int]) -> None:
    parallel = Parallel(len(said), stage_layers=tuple(said))
    ranges = [layers_of(sum(said), parallel, stage) for stage in range(len(said))]
    assert [end - first for first, end in ranges] == said
    assert ranges[-1][1] == sum(said)


def test_stages_of_other_layers_are_refused() -> None:
    setting = replace(FULL, parallel=replace(FULL.parallel, stage_layers=(3, 2, 2, 2)))
    with pytest.raises(UnsupportedRow, match="4 stages of 9 layers in all are said, for 4 GPUs and 8 layers"):
        estimate(setting, cut(MISTRAL, 8))
