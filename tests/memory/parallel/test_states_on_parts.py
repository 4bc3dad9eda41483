"""States of optimizers on parts of tensors, by hand: FSDP's slices and flat parameters, ZeRO's flat partitions."""

from __future__ import annotations

from dataclasses import replace

import pytest

from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.estimate import Estimate, estimate, holdings
from toolkit.memory.ledger import PhaseName
from toolkit.memory.refusal import UnsupportedRow
from toolkit.spec.settings.setting import Galore, Lora, Parallel, Setting, Stack

NAME = "Qwen/Qwen2.5-0.5B"
HIDDEN, GPUS, LAYERS = 896, 2, 24
TABLE = 151_936 * HIDDEN
ROOT = TABLE + HIDDEN
LAYER_SIZES = (896 * 896, 896, 128 * 896, 128, 128 * 896, 128, 896 * 896, *[4864 * 896] * 3, 896, 896)
"""q, k and v with biases, o; gate, up, down; both norms: the first GPU has all before down, and a part of up."""
LAYER = sum(LAYER_SIZES)
BLOCK, SMALL, PAGED = 256, 4096, 100_000
FULL = Setting(NAME, "full", "bf16", optimizer="adamw_8bit", parallel=Parallel(GPUS, "fsdp"), sequence_length=64)
FLAT = replace(FULL, parallel=Parallel(GPUS, "fsdp", use_orig_params=False))


def facts() -> ModelFacts:
    found = load_model(NAME)
    assert isinstance(found, ModelFacts)
    return found


def states(setting: Setting) -> int:
    return row(estimate(setting, facts()), "optimizer_states")


def row(found: Estimate, name: str) -> int:
    step = found.ledger.phase(PhaseName.OPTIMIZER_STEP)
    assert step is not None
    return sum(one.bytes for one in step.rows if one.name == name)


def in_8_bit(elements: int) -> int:
    return 4 * elements if elements < SMALL else elements + 4 * -(-elements // BLOCK)


def slices(part: int, sizes: tuple[int, ...]) -> list[int]:
    """What of tensors that follow each other lies in the first part."""
    found = []
    for size in sizes:
        found.append(min(part, size))
        part -= found[-1]
    return found


def test_a_trainer_keeps_the_first_gpus_slice_of_the_embedding_in_32_bit() -> None:
    inside = sum(map(in_8_bit, slices(LAYER // GPUS, LAYER_SIZES)))
    assert states(FULL) == 2 * (4 * ROOT // GPUS + LAYERS * inside)


def test_a_loop_of_ones_own_has_it_in_8_bit() -> None:
    plain = replace(FULL, stack=Stack("plain"), parallel=Parallel(GPUS, "fsdp", use_orig_params=True))
    inside = sum(map(in_8_bit, slices(LAYER // GPUS, LAYER_SIZES)))
    assert states(plain) == 2 * (in_8_bit(ROOT // GPUS) + LAYERS * inside)


def test_of_flat_parameters_an_embedding_is_not_told() -> None:
    """The module's weight is none of the parameters that the optimizer has, so the Trainer's override finds none."""
    assert states(FLAT) == 2 * (in_8_bit(ROOT // GPUS) + LAYERS * in_8_bit(LAYER // GPUS))


def test_a_part_that_is_small_keeps_float32_states_of_a_tensor_that_is_not() -> None:
    """Of a layer's 14,912,384 elements each of 4,096 GPUs has 3,641."""
    many = replace(FLAT, parallel=Parallel(4096, "fsdp", use_orig_params=False))
    part, root = -(-LAYER // 4096), -(-ROOT // 4096)
    assert part < SMALL < root
    assert states(many) == 2 * (in_8_bit(root) + LAYERS * 4 * part)


def test_slices_that_are_large_enough_are_paged() -> None:
    """Scales and what is small stay on the GPU; the embedding's float32 states are in managed memory, too."""
    paged = replace(FULL, optimizer="paged_adamw_8bit")
    left = 0
    for part in slices(LAYER // GPUS, LAYER_SIZES):
        left += in_8_bit(part) - (part if part >= PAGED else 0)
    assert states(paged) == 2 * LAYERS * left


@pytest.mark.parametrize("strategy", ["zero1", "zero2", "zero3"])
def test_deepspeed_gives_one_flat_tensor_in_place_of_all(strategy: str) -> None:
    """No embedding is told in it, and it is cut into whole blocks but for the last one."""
    whole = ROOT + LAYERS * LAYER
    part = whole // GPUS
    setting = replace(FULL, parallel=Parallel(GPUS, strategy))
    assert states(setting) == 2 * in_8_bit(part)
    assert states(replace(setting, optimizer="lion_8bit")) == in_8_bit(part)
    assert states(replace(setting, optimizer="adafactor")) == 4 * part  # of one dimension, nothing is factored


def test_adafactor_has_no_rows_to_factor_in_a_slice() -> None:
    setting = replace(FULL, optimizer="adafactor")
    assert states(setting) == 4 * (ROOT + LAYERS * LAYER) // GPUS


def test_adafactors_step_takes_what_it_updates_at_once() -> None:
    """Float32 copies of a 16-bit gradient and parameter, a square and a sum, of what there is of the embedding."""
    found = estimate(replace(FULL, optimizer="adafactor"), facts())
    assert row(found, "optimizer_temporary") == 4 * 4 * ROOT // GPUS


def test_adapters_are_units_of_their_own_under_fsdp() -> None:
    """Rank 64: each matrix of 64 x 896 has 28,672 elements on one of two GPUs, more than bitsandbytes' least."""
    lora = Lora(64, targets=("q_proj",), dtype="bf16")
    adapted = replace(FULL, method="lora", lora=lora, gradients="bf16", optimizer_states="bf16")
    assert states(adapted) == LAYERS * 2 * 2 * in_8_bit(64 * HIDDEN // GPUS)


FAILS = {
    "fsdp": {"muon": "ValueError", "galore_adamw": "IndexError", "schedule_free_adamw": "no formula"},
    "fsdp2": {
        "adamw_8bit": "sharding strategy", "lion": "sharding strategy", "paged_adamw": "sharding strategy",
        "adafactor": "beside DTensors", "muon": "no formula", "adagrad": "whole parameters", "adopt": "no formula",
    },
    "zero2": {"muon": "ValueError", "galore_adamw": "IndexError", "adagrad": "whole parameters", "adopt": "no formula"},
}  # fmt: skip


@pytest.mark.parametrize(
    ("strategy", "optimizer", "why"),
    [(strategy, name, why) for strategy, each in FAILS.items() for name, why in each.items()],
)
def test_what_a_library_does_not_run_is_refused_with_its_reason(strategy: str, optimizer: str, why: str) -> None:
    galore = Galore(8, ("mlp",)) if optimizer.startswith("galore") else None
    setting = replace(FULL, optimizer=optimizer, parallel=Parallel(GPUS, strategy), galore=galore)
    with pytest.raises(UnsupportedRow, match=f"{optimizer}.*on parts of tensors.*{why}|{why}.*{optimizer}"):
        holdings(setting, facts())


def test_a_loop_makes_adagrads_states_once_parameters_are_sharded() -> None:
    plain = Setting(
        NAME, "full", "bf16", optimizer="adagrad", optimizer_states="bf16", optimizer_implementation="foreach",
        parallel=Parallel(GPUS, "fsdp2"), stack=Stack("plain"), sequence_length=64,
    )  # fmt: skip
    assert states(plain) == 2 * (ROOT + LAYERS * LAYER) // GPUS
