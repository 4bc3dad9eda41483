"""Optimizers of small libraries, held against what their own code took of six tensors.

The numbers are what grokadamw 0.1.2, came_pytorch 0.1.3, adam_mini 1.1.1 and apollo_torch 1.0.3 made, run on these
tensors with every storage counted: what stayed after a step, and the most that the next one had beside it.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.estimate import estimate
from toolkit.memory.formula.optimizers import own_steps
from toolkit.memory.formula.optimizers.galore import fullest_projection
from toolkit.memory.formula.optimizers.optimizer import state_bytes
from toolkit.memory.ledger import PhaseName
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.size import BYTES
from toolkit.memory.weights.sums import Trained
from toolkit.spec.settings.setting import Galore, Setting

LAYER = "model.layers.{}."
TENSORS = (
    Trained((500, 32), 1, embedding=True),
    Trained((32, 32), 1, linear=f"{LAYER}self_attn.q_proj"),
    Trained((96, 32), 1, linear=f"{LAYER}mlp.up_proj"),
    Trained((32, 96), 1, linear=f"{LAYER}mlp.down_proj"),
    Trained((32,), 1),
    Trained((700, 32), 1, linear="lm_head", head=True),
)
SMALL = "HuggingFaceTB/SmolLM2-135M"
STATES = {
    ("came", "fp32"): 195_224, ("adam_mini", "fp32"): 187_732, ("grokadamw", "fp32"): 0,
    ("apollo_adamw", "fp32"): 324_876, ("came", "bf16"): 195_212, ("adam_mini", "bf16"): 93_866,
    ("grokadamw", "bf16"): 0, ("apollo_adamw", "bf16"): 162_438,
}  # fmt: skip
STEPS = {
    ("came", "fp32"): 284_016, ("adam_mini", "fp32"): 187_600, ("grokadamw", "fp32"): 448_128,
    ("apollo_adamw", "fp32"): 181_248, ("came", "bf16"): 373_616, ("adam_mini", "bf16"): 93_800,
    ("grokadamw", "bf16"): 224_064, ("apollo_adamw", "bf16"): 95_744,
}  # fmt: skip


def setting_of(optimizer: str, dtype: str) -> Setting:
    states = "fp32" if optimizer in ("came", "adalomo") else dtype
    galore = Galore(8, ("proj",)) if optimizer == "apollo_adamw" else None
    return Setting(SMALL, "full", dtype, optimizer=optimizer, optimizer_states=states, gradients=dtype, galore=galore)


@pytest.mark.parametrize(("optimizer", "dtype"), STATES)
def test_states_are_those_that_the_library_makes(optimizer: str, dtype: str) -> None:
    """But for its numbers of a few bytes, and that Adam-mini has one a head of queries and keys, not one a row."""
    kept = sum(state_bytes(one, setting_of(optimizer, dtype)) for one in TENSORS)
    assert kept == pytest.approx(STATES[optimizer, dtype], rel=0.001)


@pytest.mark.parametrize(("optimizer", "dtype"), STEPS)
def test_a_step_needs_what_that_of_the_library_does(optimizer: str, dtype: str) -> None:
    bytes_of = {
        "came": lambda: own_steps.fullest_confidence(TENSORS, copies=lambda _: dtype != "fp32"),
        "adam_mini": lambda: own_steps.fullest_mini(TENSORS) * BYTES[dtype],
        "grokadamw": lambda: own_steps.fullest_grokking(TENSORS) * BYTES[dtype],
        "apollo_adamw": lambda: fullest_projection(TENSORS, setting_of(optimizer, dtype)).total,
    }
    assert bytes_of[optimizer]() == pytest.approx(STEPS[optimizer, dtype], rel=0.001)


def rows(setting: Setting, phase: PhaseName) -> dict[str, int]:
    facts = load_model(setting.model)
    assert isinstance(facts, ModelFacts)
    found = estimate(setting, facts).ledger.phase(phase)
    assert found is not None
    return {row.name: row.bytes for row in found.rows}


@pytest.mark.parametrize(("optimizer", "each"), [("lomo", 6), ("adalomo", 10)])
def test_lomo_frees_each_gradient_at_once_and_works_on_float32_copies(optimizer: str, each: int) -> None:
    """Of SmolLM2's tied embedding, its largest tensor of 49,152 x 576: 8 and 12 bytes an element, 2 of them its own."""
    setting = replace(setting_of(optimizer, "bf16"), optimizer_in_backward=True, sequence_length=8)
    found = rows(setting, PhaseName.BACKWARD)
    assert found["optimizer_temporary"] == 49_152 * 576 * each
    assert found["new_gradient"] == 49_152 * 576 * 2
    assert "gradients" not in found
    assert "gradients" not in rows(setting, PhaseName.OPTIMIZER_STEP)


def test_adalomo_keeps_means_of_rows_and_columns_and_lomo_nothing() -> None:
    assert state_bytes(TENSORS[2], setting_of("adalomo", "bf16")) == (96 + 32) * 4
    assert state_bytes(TENSORS[4], setting_of("adalomo", "bf16")) == 32 * 4
    assert state_bytes(TENSORS[2], setting_of("lomo", "bf16")) == 0


def test_states_in_8_bit_floats_have_scales_and_no_table() -> None:
    """torchao: 16,000 elements are no multiple of 256; 256 x 32 are 32 blocks."""
    setting = setting_of("adamw_torchao_fp8", "bf16")
    assert state_bytes(TENSORS[0], setting) == 2 * 16_000 * 2
    assert state_bytes(Trained((256, 32), 1), setting) == 2 * (8_192 + 32 * 4)


def test_adopt_divides_all_gradients_at_once() -> None:
    """Of a model of 134,515,008 parameters: roots and quotients, beside two states."""
    found = rows(replace(setting_of("adopt", "bf16"), optimizer_implementation="foreach"), PhaseName.OPTIMIZER_STEP)
    assert found["optimizer_temporary"] == 134_515_008 * 2 * 2
    assert found["optimizer_states"] == 134_515_008 * 2 * 2


def test_apollo_needs_to_be_told_of_what() -> None:
    with pytest.raises(UnsupportedRow, match="no formula for apollo_adamw"):
        rows(replace(setting_of("apollo_adamw", "bf16"), galore=None), PhaseName.OPTIMIZER_STEP)
