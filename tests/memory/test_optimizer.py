"""Optimizer states against those of the real optimizers, and what their steps were seen to need.

States: transformers 5.23 (Adafactor), bitsandbytes 0.50.2, torchao 0.18, schedulefree 1.4.1, torch-optimi 0.3.3 and
lion-pytorch 0.2.5 on bfloat16 tensors of (512, 256), (4096,), (300, 100) and (4095,), two steps on a CPU. Steps: torch
2.13, transformers 5.23, schedulefree and lion-pytorch traced on meta tensors.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.estimate import estimate
from toolkit.memory.formula.optimizers.optimizer import STATES, paged, state_blocks, state_bytes
from toolkit.memory.ledger import PhaseName
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.weights.sums import Trained
from toolkit.spec.fields.names import OPTIMIZERS
from toolkit.spec.settings.setting import Lora, Setting, Stack

MATRIX, VECTOR, ODD = Trained((512, 256), 1), Trained((4096,), 1), Trained((300, 100), 1)
SMALL = Trained((4095,), 1)
PLAIN = Setting("", "full", "bf16", optimizer_states="bf16", stack=Stack("plain"))
SMOL = "HuggingFaceTB/SmolLM2-135M"
ELEMENTS, LARGEST, GATE = 134_515_008, 49_152 * 576, 1536 * 576


@pytest.mark.parametrize(
    ("optimizer", "tensor", "expected"),
    [
        ("adamw", MATRIX, 2 * 131_072 * 2),
        ("adamw_8bit", MATRIX, 2 * (131_072 + 512 * 4)),
        ("adamw_8bit", VECTOR, 2 * (4096 + 16 * 4)),
        ("adamw_8bit", ODD, 2 * (30_000 + 118 * 4)),
        ("adamw_8bit", SMALL, 2 * 4095 * 4),
        ("lion_8bit", ODD, 30_000 + 118 * 4),
        ("adafactor", MATRIX, (512 + 256) * 4),
        ("adafactor", VECTOR, 4096 * 4),
        ("adafactor", ODD, (300 + 100) * 4),
        ("lion", MATRIX, 131_072 * 2),
        ("paged_lion_8bit", SMALL, 4095 * 4),
        ("ademamix", ODD, 3 * 30_000 * 2),
        ("ademamix_8bit", ODD, 3 * (30_000 + 118 * 4)),
        ("paged_ademamix_8bit", SMALL, 3 * 4095 * 4),
        ("sgd_momentum", MATRIX, 131_072 * 2),
        ("rmsprop", ODD, 30_000 * 2),
        ("rmsprop_bnb_8bit", VECTOR, 4096 + 16 * 4),
        ("adagrad", MATRIX, 131_072 * 2),
        ("adamw_torchao_8bit", MATRIX, 268_288),
        ("adamw_torchao_8bit", VECTOR, 10_368),
        ("adamw_torchao_8bit", ODD, 120_000),
        ("adamw_torchao_8bit", SMALL, 16_380),
        ("adamw_torchao_4bit", MATRIX, 139_392),
        ("adamw_torchao_4bit", VECTOR, 4_480),
        ("adamw_torchao_4bit", SMALL, 16_380),
        ("schedule_free_adamw", ODD, 120_000),
        ("schedule_free_radam", MATRIX, 524_288),
        ("schedule_free_sgd", MATRIX, 262_144),
        ("stable_adamw", MATRIX, 786_432),
        ("lion_pytorch", ODD, 60_000),
        ("sgd", MATRIX, 0),
        ("none", MATRIX, 0),
    ],
)
def test_states_of_one_tensor(optimizer: str, tensor: Trained, expected: int) -> None:
    assert state_bytes(tensor, replace(PLAIN, optimizer=optimizer)) == expected


def test_a_trainer_keeps_the_states_of_embeddings_in_32_bit() -> None:
    embedding = Trained((512, 256), 1, embedding=True)
    trained = replace(PLAIN, optimizer="adamw_8bit", stack=Stack("transformers"))
    assert state_bytes(embedding, trained) == 2 * 131_072 * 4
    assert state_bytes(embedding, replace(trained, stack=Stack("plain"))) == 2 * (131_072 + 512 * 4)


@pytest.mark.parametrize(("tensor", "expected"), [(MATRIX, 135_296), (VECTOR, 4_352), (ODD, 120_000)])
def test_a_trainer_asks_torchao_for_blocks_of_256(tensor: Trained, expected: int) -> None:
    setting = replace(PLAIN, optimizer="adamw_torchao_4bit", stack=Stack("transformers"))
    assert state_bytes(tensor, setting) == expected


def test_what_rounding_left_of_float32_is_not_kept() -> None:
    setting = replace(PLAIN, optimizer="stable_adamw", optimizer_states="fp32")
    assert (state_bytes(MATRIX, setting), state_blocks(MATRIX, setting)) == (1_048_576, (524_288, 524_288))
    assert state_blocks(MATRIX, replace(setting, optimizer_states="bf16")) == (262_144,) * 3


def test_an_unknown_optimizer_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedRow, match="shampoo"):
        state_bytes(MATRIX, replace(PLAIN, optimizer="shampoo"))


def step(**fields: object) -> dict[str, int]:
    facts = load_model(SMOL)
    assert isinstance(facts, ModelFacts)
    setting = replace(PLAIN, model=SMOL, **fields)  # type: ignore[arg-type] - a test's shorthand
    phase = estimate(setting, facts).ledger.phase(PhaseName.OPTIMIZER_STEP)
    assert phase is not None
    return {row.name: row.bytes for row in phase.rows}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"optimizer_implementation": "foreach"}, ELEMENTS * 2),
        ({"optimizer_implementation": "fused"}, 0),
        ({"optimizer_implementation": "for-loop"}, 2 * LARGEST * 2),
        ({"optimizer": "adafactor"}, 4 * LARGEST * 4 + (49_152 + 576) * 4),
        ({"optimizer": "sgd", "optimizer_implementation": "foreach"}, 0),
        ({"optimizer": "adamw_8bit"}, 0),
        ({"optimizer": "ademamix_8bit"}, 0),
        ({"optimizer": "sgd_momentum", "optimizer_implementation": "foreach"}, 0),
        ({"optimizer": "schedule_free_adamw"}, ELEMENTS * 2),
        ({"optimizer": "schedule_free_sgd"}, 0),
        ({"optimizer": "lion_pytorch"}, 2 * LARGEST * 2),
        ({"optimizer": "stable_adamw"}, 0),
        ({"optimizer": "rmsprop", "optimizer_implementation": "foreach"}, ELEMENTS * 2),
        ({"optimizer": "rmsprop", "optimizer_implementation": "for-loop"}, (LARGEST + 576 * 576) * 2),
        ({"optimizer": "adagrad", "optimizer_implementation": "foreach"}, 2 * ELEMENTS * 2),
        ({"optimizer_implementation": "foreach", "optimizer_states": "fp32"}, 2 * LARGEST * 4),
        ({"optimizer_implementation": "foreach", "optimizer_states": "fp32", "master_weights": "fp32"}, ELEMENTS * 4),
    ],
)
def test_what_a_step_needs(fields: dict[str, object], expected: int) -> None:
    assert step(**fields).get("optimizer_temporary", 0) == expected


def test_a_parameter_leaves_its_last_tensor_to_the_next() -> None:
    """Torch's for-loop AdamW has two tensors of the second matrix (1536 x 8), and one of the first before (8 x 576)."""
    lora = {"method": "lora", "lora": Lora(8, targets=("gate_proj", "up_proj")), "optimizer_states": "fp32"}
    found = step(**lora, gradients="fp32", optimizer_implementation="for-loop")
    assert found["optimizer_temporary"] == (2 * 8 * 1536 + 8 * 576) * 4


MATRICES = ELEMENTS - 61 * 576
"""SmolLM2-135M has 61 norms of 576 weights; all its other tensors have 1e5 or more, a multiple of 256."""


def test_paged_states_are_outside_of_torchs_count() -> None:
    """What stays: float32 states of the norms, and for each 256 other weights two float32 scales."""
    assert step(optimizer="paged_adamw_8bit")["optimizer_states"] == 61 * 576 * 8 + MATRICES // 256 * 8


def test_every_optimizer_has_a_formula() -> None:
    assert set(OPTIMIZERS) == set(STATES)


def test_two_averages_of_ademamix_are_one_state() -> None:
    """bitsandbytes ademamix.py: two of the parameter's shape and one of it; both states are paged, scales are not."""
    assert state_blocks(ODD, replace(PLAIN, optimizer="ademamix", optimizer_states="fp32")) == (240_000, 120_000)
    large = Trained((1000, 512), 1)
    setting = replace(PLAIN, optimizer="paged_ademamix_8bit")
    assert paged(large, setting) == 3 * 512_000
    assert sum(state_blocks(large, setting)) == 3 * 2000 * 4


def test_states_in_managed_memory_are_noted() -> None:
    """Two states of one byte for every weight but the norms'."""
    facts = load_model(SMOL)
    assert isinstance(facts, ModelFacts)
    plain, paged = (replace(PLAIN, model=SMOL, optimizer=name) for name in ("adamw_8bit", "paged_adamw_8bit"))
    assert estimate(plain, facts).notes == ()
    (note,) = estimate(paged, facts).notes
    assert f"{2 * MATRICES:,} bytes" in note
