"""TRL's OffloadActivations, traced: what it leaves on the GPU, and how far formulas are from it."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")
pytest.importorskip("trl.models.activation_offloading")

from tests.memory.trace.cut import cut
from toolkit.facts.models import ModelFacts
from toolkit.memory.estimate import estimate
from toolkit.memory.ledger import PhaseName
from toolkit.memory.trace.trace import trace
from toolkit.spec.settings.setting import Lora, Setting, Stack

pytestmark = pytest.mark.reference

QWEN, WIDTH, LAYERS = "Qwen/Qwen2.5-0.5B", 896, 9
FULL = Setting(
    QWEN, "full", "bf16", batch_size=4, sequence_length=1024, gradient_checkpointing="non-reentrant",
    activation_offloading=True, stack=Stack("trl", "chunked"),
)  # fmt: skip
LORA = replace(FULL, method="lora", lora=Lora(8, 16), amp=True, gradients="fp32", optimizer_states="fp32")
INPUT = 4 * 1024 * WIDTH * 2
"""The input of one layer, in bytes."""
STASH = 5
"""Tensors that OffloadActivations keeps while they are copied (max_fwd_stash_size)."""
OF_TOKENS = 4 * 1024 * 16
"""What the loss keeps of each token, a few numbers, which is moved, too."""
PASSES = (PhaseName.FORWARD_END, PhaseName.BACKWARD)


@pytest.mark.parametrize("setting", [FULL, LORA], ids=["full", "lora"])
def test_what_is_counted_is_a_few_inputs_of_layers_from_what_stays(setting: Setting) -> None:
    facts = cut(QWEN, LAYERS)
    for name in PASSES:
        beside = abs(_above(replace(setting, activation_offloading=False), facts, name))
        assert abs(_above(setting, facts, name)) <= (STASH + 1) * INPUT + OF_TOKENS + beside


def _above(setting: Setting, facts: ModelFacts, name: PhaseName) -> int:
    """How many bytes more are counted than are traced."""
    traced, counted = trace(setting, facts, whole=True).ledger.phase(name), estimate(setting, facts).ledger.phase(name)
    assert traced is not None
    assert counted is not None
    return counted.total - traced.total


@pytest.mark.parametrize("setting", [FULL, LORA], ids=["full", "lora"])
def test_what_is_moved_does_not_grow_with_the_layers(setting: Setting) -> None:
    """Without offloading each layer keeps one input more; with it what stays is the same."""
    stays = []
    for layers in (7, LAYERS):
        facts = cut(QWEN, layers)
        kept, moved = (
            trace(replace(setting, activation_offloading=said), facts, whole=True).ledger.phase(PhaseName.FORWARD_END)
            for said in (False, True)
        )
        assert kept is not None
        assert moved is not None
        stays.append(layers * INPUT - (kept.total - moved.total))
    assert stays[0] == stays[1]
    assert 0 <= stays[0] <= STASH * INPUT
