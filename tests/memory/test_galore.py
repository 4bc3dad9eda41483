"""GaLore: states and steps by hand from galore_torch's code, for matrices small enough to add up."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.estimate import Estimate, estimate
from toolkit.memory.formula.optimizers.galore import fullest_projection, is_projected
from toolkit.memory.formula.optimizers.optimizer import state_blocks, state_bytes
from toolkit.memory.ledger import PhaseName
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.weights.sums import Trained
from toolkit.spec.settings.setting import Galore, Lora, Parallel, Setting, Stack

LLAMA = "meta-llama/Llama-2-7b-hf"
SETTING = Setting(
    LLAMA, "full", "bf16", optimizer="galore_adamw", galore=Galore(4, ("attn", "mlp")), stack=Stack("plain"),
)  # fmt: skip
WIDE = replace(SETTING, weights="fp32", gradients="fp32", optimizer_states="fp32")
TALL, LONG = (Trained(shape, 1, linear="model.layers.{}.mlp.up_proj") for shape in ((96, 32), (32, 96)))
NORM, HEAD = Trained((32,), 1), Trained((500, 32), 1, head=True, linear="lm_head")


@pytest.mark.parametrize("tensor", [TALL, LONG])
@pytest.mark.parametrize(
    ("setting", "optimizer", "expected"),
    [
        (SETTING, "galore_adamw", 2 * 4 * 96 * 2 + 4 * 32 * 2),
        (WIDE, "galore_adamw", 2 * 4 * 96 * 4 + 32 * 32 * 4),  # a view of all singular vectors of the shorter side
        (SETTING, "galore_adamw_8bit", 2 * 4 * 96 * 4 + 4 * 32 * 2),  # 384 elements are too few for 8 bit
        (SETTING, "galore_adafactor", (4 + 96) * 4 + 32 * 32 * 4),  # in float32 whatever the gradient
        (WIDE, "galore_adafactor", (4 + 96) * 4 + 32 * 32 * 4),
    ],
)
def test_states_of_a_projected_matrix(setting: Setting, optimizer: str, expected: int, tensor: Trained) -> None:
    setting = replace(setting, optimizer=optimizer)
    assert state_bytes(tensor, setting) == expected
    assert sum(state_blocks(tensor, setting)) == expected


def test_projections_of_4096_elements_are_in_8_bit() -> None:
    """Rank 16 of 256 x 512 has 8,192 elements in 32 blocks."""
    setting = replace(SETTING, optimizer="galore_adamw_8bit", galore=Galore(16))
    tensor = Trained((512, 256), 1, linear="model.layers.{}.mlp.up_proj")
    assert state_bytes(tensor, setting) == 2 * (8192 + 32 * 4) + 16 * 256 * 2


@pytest.mark.parametrize(
    ("optimizer", "expected"),
    [
        ("galore_adamw", 2 * 16_000 * 2),
        ("galore_adamw_8bit", 2 * (16_000 + 63 * 4)),
        ("galore_adafactor", (500 + 32) * 4),
    ],
)
def test_what_is_no_target_has_the_states_of_its_optimizer(optimizer: str, expected: int) -> None:
    assert state_bytes(HEAD, replace(SETTING, optimizer=optimizer)) == expected
    trainer = replace(SETTING, optimizer=optimizer, stack=Stack("transformers"))
    assert state_bytes(replace(HEAD, embedding=True), trainer) == expected, "no trainer overrides galore_torch"


def test_a_rank_beyond_the_matrix_is_that_of_the_matrix() -> None:
    assert state_bytes(TALL, replace(SETTING, galore=Galore(1000))) == 2 * 32 * 96 * 2 + 32 * 32 * 2


def test_targets_are_parts_of_names_of_linear_layers() -> None:
    """transformers takes every linear layer for all-linear, the output layer too (trainer_optimizer.py)."""
    whole = replace(SETTING, galore=Galore(4, "all-linear"))
    assert is_projected(TALL, SETTING)
    assert not is_projected(HEAD, SETTING)
    assert is_projected(HEAD, whole)
    assert not is_projected(Trained((8, 32), 1), whole)
    assert not is_projected(replace(TALL, linear="model.layers.{}.self_proj"), SETTING)


def total(setting: Setting, *tensors: Trained) -> int:
    return fullest_projection(tensors, setting).total


DECOMPOSED = 4 * (2 * 96 * 32 + 32 * 32)
"""Bytes of torch.linalg.svd's copy, and of the singular vectors of both sides."""


@pytest.mark.parametrize("tensor", [TALL, LONG])
def test_one_matrix_is_fullest_while_it_is_decomposed(tensor: Trained) -> None:
    copy = 96 * 32 * 4
    assert total(SETTING, tensor) == DECOMPOSED + copy
    assert total(replace(SETTING, optimizer="galore_adamw_8bit"), tensor) == DECOMPOSED + copy
    assert total(replace(WIDE, optimizer="galore_adafactor"), tensor) == DECOMPOSED
    assert total(replace(SETTING, optimizer="galore_adafactor"), tensor) == DECOMPOSED + copy


@pytest.mark.parametrize("tensor", [TALL, LONG])
def test_a_float32_update_that_is_projected_back_needs_more(tensor: Trained) -> None:
    """No copy in float32 is made of it: two matrices, and projections of gradient, denominator and quotient."""
    assert total(WIDE, tensor) == 2 * 96 * 32 * 4 + 3 * 4 * 96 * 4 > DECOMPOSED


def test_names_of_the_parameter_before_are_still_bound() -> None:
    """The denominator and the update of the output layer are there while the first matrix is decomposed."""
    assert total(SETTING, TALL, HEAD) == 2 * 500 * 32 * 2 + DECOMPOSED + 96 * 32 * 4
    assert total(replace(SETTING, optimizer="galore_adamw_8bit"), TALL, HEAD) == DECOMPOSED + 96 * 32 * 4


def test_gradients_that_are_projected_in_8_bit_are_gone() -> None:
    """Of two matrices the second finds the first one's gradient gone, and its projection of 4 x 64 in its place."""
    small = Trained((64, 32), 1, linear="model.layers.{}.mlp.gate_proj")
    setting = replace(SETTING, optimizer="galore_adamw_8bit")
    expected = DECOMPOSED + 96 * 32 * 4 - 64 * 32 * 2 + 4 * 64 * 2
    assert total(setting, small, TALL) == expected
    assert fullest_projection([small, TALL], setting).freed == 64 * 32 * 2


@given(
    st.integers(2, 300), st.integers(2, 300), st.integers(1, 400),
    st.sampled_from(["galore_adamw", "galore_adamw_8bit", "galore_adafactor"]), st.sampled_from(["bf16", "fp32"]),
)  # fmt: skip
def test_a_matrix_and_its_transpose_are_kept_alike(
    rows: int, columns: int, rank: int, optimizer: str, dtype: str
) -> None:
    setting = replace(
        SETTING, optimizer=optimizer, galore=Galore(rank), weights=dtype, gradients=dtype, optimizer_states=dtype
    )
    one, other = (Trained(shape, 1, linear="mlp") for shape in ((rows, columns), (columns, rows)))
    assert state_bytes(one, setting) == state_bytes(other, setting)
    assert total(setting, one) == total(setting, other)
    more = replace(setting, galore=Galore(rank + 1))
    if not optimizer.endswith("_8bit"):  # whose moments of fewer than 4,096 elements are float32
        assert state_bytes(one, more) >= state_bytes(one, setting)


def of(setting: Setting) -> Estimate:
    facts = load_model(setting.model)
    assert isinstance(facts, ModelFacts)
    return estimate(setting, facts)


def step(setting: Setting) -> dict[str, int]:
    phase = of(setting).ledger.phase(PhaseName.OPTIMIZER_STEP)
    assert phase is not None
    return {row.name: row.bytes for row in phase.rows}


def test_states_of_the_papers_model() -> None:
    """Llama 2 7B at rank 1024: 32 layers of 4 projections of 4,096 squared and 3 of 11,008 x 4,096, in bf16."""
    low = 32 * 1024 * (4 * 4096 + 3 * 11_008)
    projectors = 32 * 7 * 1024 * 4096
    others = 6_738_415_616 - 32 * (4 * 4096**2 + 3 * 4096 * 11_008)
    found = step(replace(SETTING, galore=Galore(1024, ("attn", "mlp"))))
    assert found["optimizer_states"] == 2 * (2 * low + projectors + 2 * others)
    gate = 4 * (3 * 11_008 * 4096 + 4096**2)
    before = 2 * 11_008 * (4096 + 1024)  # of the up projection: its update, and its denominator of rank 1,024
    head = 4 * (3 * 4096**2 + 4096**2) + 2 * 2 * 32_000 * 4096  # the query after the output layer
    assert found["optimizer_temporary"] + found["projector_update"] == max(gate + before, head)


def test_what_is_not_counted_is_said() -> None:
    assert any("cuSOLVER's workspace" in note for note in of(SETTING).notes)
    assert of(replace(SETTING, optimizer="adamw", galore=None)).notes == ()


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        (replace(SETTING, method="lora", lora=Lora(8), gradients="fp32"), "with method lora"),
        (replace(SETTING, galore=Galore(4, ("layers.3",))), "in some layers alone"),
        (replace(SETTING, parallel=Parallel(2, "fsdp")), "on parts of tensors"),
        (replace(SETTING, optimizer="muon", galore=None, parallel=Parallel(2, "zero2")), "on parts of tensors"),
    ],
)
def test_what_no_formula_covers_is_refused_by_name(setting: Setting, words: str) -> None:
    with pytest.raises(UnsupportedRow, match=words):
        of(setting)


def test_copies_of_a_model_on_two_gpus_step_as_one() -> None:
    both = step(replace(SETTING, parallel=Parallel(2, "ddp")))
    assert {name: both[name] for name in ("optimizer_states", "projector_update")} == {
        name: step(SETTING)[name] for name in ("optimizer_states", "projector_update")
    }
