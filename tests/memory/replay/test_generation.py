"""What a growing cache leaves behind, against what PyTorch reserved on an A100.

Llama-2-7B in fp16, 256 tokens and 512 new ones, as huggingface/optimum-benchmark read it (running-llamas,
Llama-7b/full_report.csv at 5d4128c).
"""

from __future__ import annotations

import pytest

from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.estimate import Estimate, estimate
from toolkit.memory.recording import programs_of
from toolkit.memory.replay.generation import generation_events
from toolkit.memory.replay.orders import peak
from toolkit.memory.replay.reserved import replayed
from toolkit.spec.setting import Setting, Stack

STACK = Stack(versions={"torch": "2.1.1+cu118", "transformers": "4.35.2"})
CLOSE = 0.01


def _estimate(batch: int, generated: int = 512, stack: Stack = STACK) -> Estimate:
    facts = load_model("meta-llama/Llama-2-7b-hf")
    assert isinstance(facts, ModelFacts)
    lengths = {"batch_size": batch, "sequence_length": 256, "generated_length": generated}
    return estimate(
        Setting(
            facts.id, method="inference", weights="fp16", compute="fp16", attention="eager", stack=stack, **lengths
        ),
        facts,
    )


@pytest.mark.parametrize(("batch", "read"), [(1, 13.49), (2, 14.54), (4, 23.25), (8, 59.14)])
def test_a_cache_leaves_segments_behind(batch: int, read: float) -> None:
    low, high = replayed(_estimate(batch))
    assert low * (1 - CLOSE) <= read * 2**30 <= high * (1 + CLOSE)


@pytest.mark.parametrize("generated", [2, 3, 5, 6, 200, 1_000])
def test_the_last_token_is_followed_with_all_its_tensors(generated: int) -> None:
    known = _estimate(4, generated, Stack())
    assert known.context is not None
    assert peak(generation_events(known.context, programs_of(known.context))) == pytest.approx(
        known.allocated, rel=0.005
    )
