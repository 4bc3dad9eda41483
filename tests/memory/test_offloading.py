"""Offloaded activations: how many inputs of layers are counted, and what is refused by name."""

from __future__ import annotations

from dataclasses import replace

import pytest

from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.estimate import estimate
from toolkit.memory.ledger import PhaseName
from toolkit.memory.refusal import UnsupportedRow
from toolkit.spec.settings.setting import Lora, Parallel, Setting, Stack

MODEL, WIDTH, LAYERS = "meta-llama/Llama-3.1-8B", 4096, 32
MOVED = Setting(
    MODEL, "lora", "bf16", lora=Lora(8), amp=True, gradients="fp32", optimizer_states="fp32", sequence_length=4096,
    gradient_checkpointing="non-reentrant", activation_offloading=True, stack=Stack("trl", "chunked"),
)  # fmt: skip
INPUT = 4096 * WIDTH * 2


def inputs(setting: Setting, phase: PhaseName) -> int:
    facts = load_model(MODEL)
    assert isinstance(facts, ModelFacts)
    found = estimate(setting, facts).ledger.phase(phase)
    assert found is not None
    return sum(row.bytes for row in found.rows if row.name == "layer_inputs")


def test_inputs_of_layers_are_counted_as_long_as_a_stash_or_the_graph_has_them() -> None:
    """Forward: five in the stash, the first, which is a leaf, and it and its gradient of the pass before.

    Backward: that of the layer in turn, what was fetched before it, and the leaf.
    """
    stays = replace(MOVED, activation_offloading=False)
    assert inputs(stays, PhaseName.BACKWARD) == LAYERS * INPUT
    assert inputs(MOVED, PhaseName.BACKWARD) <= 3 * INPUT
    assert inputs(MOVED, PhaseName.FORWARD_END) <= (5 + 1 + 2) * INPUT
    assert inputs(MOVED, PhaseName.OPTIMIZER_STEP) == 2 * INPUT


def test_embeddings_that_are_trained_leave_no_leaf() -> None:
    full = replace(MOVED, method="full", lora=None, weights="fp32")
    assert inputs(full, PhaseName.OPTIMIZER_STEP) == 0
    assert inputs(full, PhaseName.FORWARD_END) <= 5 * INPUT


def test_a_plain_loops_checkpoint_leaves_the_running_layers_input_alone() -> None:
    plain = replace(MOVED, gradient_checkpointing="reentrant", stack=Stack("plain", "fused"))
    assert inputs(replace(plain, activation_offloading=False), PhaseName.BACKWARD) == LAYERS * INPUT
    assert inputs(plain, PhaseName.BACKWARD) == INPUT
    assert inputs(plain, PhaseName.FORWARD_END) <= INPUT


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        (replace(MOVED, stack=Stack("transformers")), "TRL's SFTTrainer, torchtune or a plain loop"),
        (replace(MOVED, stack=Stack("plain")), "checkpoints of torch's older form"),
        (replace(MOVED, gradient_checkpointing="false"), "checkpoints of torch's newer form"),
        (replace(MOVED, gradient_checkpointing="reentrant"), "checkpoints of torch's newer form"),
        (replace(MOVED, parallel=Parallel(2, "ddp")), "one GPU"),
    ],
    ids=["trainer", "plain and newer", "no checkpoints", "reentrant", "several"],
)
def test_what_is_not_followed_is_refused_by_name(setting: Setting, reason: str) -> None:
    with pytest.raises(
        UnsupportedRow, match=f"layer_inputs: no formula for offloaded activations yet, except with {reason}"
    ):
        inputs(setting, PhaseName.LOAD)
