"""Muon: its states and the step that makes an update orthogonal, by hand from torch/optim/_muon.py."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.estimate import estimate
from toolkit.memory.formula.optimizers.muon import is_orthogonalized, orthogonalizing
from toolkit.memory.formula.optimizers.optimizer import state_bytes
from toolkit.memory.ledger import PhaseName
from toolkit.memory.weights.sums import Trained
from toolkit.spec.settings.setting import Lora, Setting, Stack

LLAMA = "meta-llama/Llama-3.1-8B"
MUON = Setting(
    LLAMA, "full", "bf16", optimizer="muon", optimizer_implementation="foreach", stack=Stack("plain"),
)  # fmt: skip
LAYERS, HIDDEN, VOCABULARY = 32, 4096, 128_256
TABLES = 2 * VOCABULARY * HIDDEN
NORMS = (2 * LAYERS + 1) * HIDDEN
MATRICES = 8_030_261_248 - TABLES - NORMS
"""Llama 3.1 8B has 8,030,261,248 parameters; embeddings and output layer are apart."""
GATE = 14_336 * 4096


@pytest.mark.parametrize(
    ("tensor", "said"),
    [
        (Trained((4096, 1024), 1, linear="model.layers.{}.self_attn.q_proj"), True),
        (Trained((8, 4096), 1), True),
        (Trained((4096,), 1), False),
        (Trained((8, 14_336, 4096), 1), False),
        (Trained((32_000, 4096), 1, embedding=True), False),
        (Trained((32_000, 4096), 1, head=True, linear="lm_head"), False),
        (Trained((2, 4096), 1, copied=True), False),
    ],
)
def test_matrices_of_hidden_layers_alone_are_made_orthogonal(tensor: Trained, said: bool) -> None:
    assert is_orthogonalized(tensor) is said
    states = state_bytes(tensor, replace(MUON, optimizer_states="bf16"))
    assert states == (1 if said else 2) * tensor.elements * 2


def row(setting: Setting, name: str) -> int:
    facts = load_model(setting.model)
    assert isinstance(facts, ModelFacts)
    step = estimate(setting, facts).ledger.phase(PhaseName.OPTIMIZER_STEP)
    assert step is not None
    return sum(one.bytes for one in step.rows if one.name == name)


def test_states_are_one_for_matrices_and_two_for_all_else() -> None:
    assert row(MUON, "optimizer_states") == 2 * MATRICES + 4 * (TABLES + NORMS)


def test_the_largest_of_both_steps_is_shown() -> None:
    """Square roots of all that AdamW has are more than an update of a gate, which is more than nothing."""
    fused = replace(MUON, optimizer_implementation="fused")
    assert row(MUON, "optimizer_temporary") == 2 * (TABLES + NORMS)
    assert row(MUON, "newton_schulz") == 0
    assert row(fused, "optimizer_temporary") == 0
    assert row(fused, "newton_schulz") == 3 * 2 * GATE + 2 * 2 * 4096**2


def test_the_iteration_is_in_bfloat16_whatever_the_gradient() -> None:
    """Arithmetic for 6 x 4: update, two steps of the iteration, two products of 4 x 4."""
    wide = Trained((6, 4), 1)
    assert orthogonalizing([wide], "bf16") == (48, 48, 48, 32, 32)
    assert orthogonalizing([wide], "fp32") == (96, 48, 48, 32, 32)
    assert orthogonalizing([Trained((4, 6), 3), wide], "fp32") == (96, 48, 48, 32, 32)


def test_adapters_have_no_step_of_adamw() -> None:
    """Rank 8 beside q of 4,096 x 4,096: its matrices, whose shorter side is 8, are Muon's."""
    lora = replace(
        MUON, method="lora", lora=Lora(8, targets=("q_proj",)), gradients="fp32", optimizer_states="fp32"
    )  # fmt: skip
    assert row(lora, "optimizer_states") == LAYERS * 2 * 8 * 4096 * 4
    assert row(lora, "newton_schulz") == 8 * 4096 * (4 + 2 + 2) + 2 * 2 * 64


@given(st.integers(1, 500), st.integers(1, 500), st.sampled_from(["bf16", "fp16", "fp32"]))
def test_a_matrix_and_its_transpose_need_the_same(rows: int, columns: int, gradients: str) -> None:
    found = orthogonalizing([Trained((rows, columns), 1)], gradients)
    assert found == orthogonalizing([Trained((columns, rows), 7)], gradients)
    assert sum(found) >= 6 * rows * columns
