"""A long generation traced by a few of its steps takes what it takes when every step is run."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch

from tests.memory.measure.jobs import CONFIG, job
from toolkit.facts.models import ModelFacts, model_from_config
from toolkit.memory.trace import generate
from toolkit.memory.trace.batches.lengthen import FIRST, LAST, STATIONS, growing, leap, lengthened, shapes, steps_run
from toolkit.memory.trace.trace import Trace, trace

pytestmark = pytest.mark.reference

WINDOWED = {**CONFIG, "model_type": "mistral", "sliding_window": 40}
MIXED = {**CONFIG, "model_type": "gemma3_text", "sliding_window": 24, "sliding_window_pattern": 2, "head_dim": 64}
TOKENS = 90


def traced(config: dict[str, Any], prompt: int) -> Trace:
    facts: ModelFacts = model_from_config(config, "tiny/model")
    setting = job(method="inference", sequence_length=prompt, generated_length=TOKENS).setting
    return trace(setting, facts, whole=True)


@pytest.mark.parametrize("config", [CONFIG, WINDOWED, MIXED], ids=["whole", "windowed", "mixed"])
@pytest.mark.parametrize("prompt", [1, 32])
def test_a_few_steps_take_what_all_take(config: dict[str, Any], prompt: int, monkeypatch: pytest.MonkeyPatch) -> None:
    few = traced(config, prompt)
    monkeypatch.setattr(generate, "leap", lambda *_: 0)
    every = traced(config, prompt)
    assert few.how == f"every layer, {TOKENS - 1} steps from {steps_run(TOKENS - 1)}"
    assert len(few.timeline.events) < len(every.timeline.events) / 3
    assert few.ledger.peak.total == every.ledger.peak.total
    for phase in every.ledger.phases:
        other = few.ledger.phase(phase.name)
        assert other is not None
        assert (other.total, other.moment) == (phase.total, phase.moment)
        assert {row.name: row.bytes for row in other.rows} == {row.name: row.bytes for row in phase.rows}
    assert few.blocks == every.blocks


def test_leaps_end_with_the_last_steps_and_leave_out_the_rest() -> None:
    for steps in range(400):
        done = ran = 0
        while done < steps:
            done, ran = done + 1, ran + 1
            done += leap(done, steps)
        assert done == steps
        assert ran == steps_run(steps)
    assert steps_run(10_000) == FIRST + STATIONS * LAST
    assert leap(FIRST, 10_000) > 0


def test_only_what_grew_by_one_token_is_told_to_grow() -> None:
    assert growing([(1, 2, 5, 8), (1, 4)], [(1, 2, 6, 8), (1, 4)]) == [2, None]
    assert growing([(5, 8)], [(6, 8)]) == [0]
    assert growing([(5, 8)], [(7, 8)]) is None
    assert growing([(5, 8)], [(6, 9)]) is None
    assert growing([(5, 8)], [(5, 8), (5, 8)]) is None
    assert growing([], []) is None


def test_every_form_of_a_cache_is_lengthened() -> None:
    def part() -> Any:
        return torch.empty(1, 2, 5, 8, device="meta")

    layers = SimpleNamespace(layers=[SimpleNamespace(keys=part(), values=part(), cumulative_length=5)])
    windowed = SimpleNamespace(layers=[SimpleNamespace(keys=part(), values=part(), sliding_window=9)])
    lists = SimpleNamespace(key_cache=[part()], value_cache=[part()], _seen_tokens=5)
    for cache, length in ((layers, 105), (windowed, 8), (lists, 105), (((part(), part()),), 105)):
        longer = lengthened(cache, [2, 2], 100)
        assert shapes(longer) == [(1, 2, length, 8)] * 2
    assert layers.layers[0].cumulative_length == 105
    assert lists._seen_tokens == 105
