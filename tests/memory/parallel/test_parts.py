"""What one of several GPUs holds, by hand from the shapes of Mistral 7B and from published readings."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.estimate import Estimate, estimate
from toolkit.memory.ledger import Category, PhaseName
from toolkit.memory.refusal import UnsupportedRow
from toolkit.spec.settings.setting import Lora, Parallel, Setting, Stack
from toolkit.spec.settings.stack_rules import adapter_dtype

LAYER = 2 * 4096 * 4096 + 2 * 1024 * 4096 + 3 * 14336 * 4096 + 2 * 4096
ROOT = 2 * 32000 * 4096 + 4096
PARAMETERS = 32 * LAYER + ROOT
ADAPTERS = 32 * 16 * (2 * (4096 + 4096) + 2 * (4096 + 1024))
"""Rank 16 on q, k, v and o."""
LINEARS = 32 * (LAYER - 2 * 4096)

RELEASES = {"torch": "2.4.1", "transformers": "4.45.2", "peft": "0.13.0", "bitsandbytes": "0.43.3", "trl": "0.9.6"}
FULL = Setting(
    "mistralai/Mistral-7B-v0.1",
    "full",
    "bf16",
    optimizer_implementation="foreach",
    batch_size=4,
    sequence_length=4096,
    gradient_checkpointing="reentrant",
    attention="flash",
    parallel=Parallel(2, "fsdp"),
    gpu="A100 80GB",
    stack=Stack("trl", versions=RELEASES),
)
TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj")
LORA = replace(
    FULL,
    method="lora",
    lora=Lora(16, 16, TARGETS, 0.1, "fp32"),
    gradients="fp32",
    optimizer_states="fp32",
    batch_size=2,
)
QLORA = replace(LORA, method="qlora", weights="nf4", double_quant=True, amp=True)
LLAMA = replace(QLORA, model="meta-llama/Llama-2-70b-hf")


def of(setting: Setting) -> Estimate:
    facts = load_model(setting.model)
    assert isinstance(facts, ModelFacts)
    return estimate(setting, facts)


def row(setting: Setting, phase: PhaseName, name: str) -> int:
    found = of(setting).ledger.phase(phase)
    assert found is not None
    return next((row.bytes for row in found.rows if row.name == name), 0)


def test_the_shapes_are_those_of_the_model() -> None:
    assert PARAMETERS == 7_241_732_096


@pytest.mark.parametrize("gpus", [2, 4, 8])
@pytest.mark.parametrize(("name", "each"), [("weights", 2), ("gradients", 2), ("optimizer_states", 4)])
def test_fsdp_gives_every_gpu_its_part(gpus: int, name: str, each: int) -> None:
    setting = replace(FULL, parallel=Parallel(gpus, "fsdp"))
    assert row(setting, PhaseName.OPTIMIZER_STEP, name) == each * PARAMETERS // gpus


def test_a_unit_that_does_not_divide_is_padded() -> None:
    setting = replace(FULL, parallel=Parallel(3, "fsdp"))
    padded = 32 * -(-LAYER // 3) + -(-ROOT // 3)
    assert row(setting, PhaseName.LOAD, "weights") == 2 * padded


def test_a_forward_pass_gathers_the_root_and_at_most_one_layer() -> None:
    found = of(FULL).ledger.phase(PhaseName.FORWARD_END)
    assert found is not None
    gathered = row(FULL, PhaseName.FORWARD_END, "gathered_parameters")
    assert gathered == 2 * (ROOT + (LAYER if found.moment == "last layer" else 0))


def test_mixed_precision_holds_trained_parameters_in_32_bit() -> None:
    """16 bytes a parameter (weight, gradient, two states), as accelerate makes them; units are gathered in bfloat16."""
    mixed = replace(FULL, amp=True)
    found = of(mixed).ledger.phase(PhaseName.OPTIMIZER_STEP)
    assert found is not None
    held = found.of(Category.WEIGHTS, Category.GRADIENTS, Category.OPTIMIZER_STATES)
    assert held == 16 * PARAMETERS // 2
    assert row(mixed, PhaseName.FORWARD_END, "gathered_parameters") in (2 * ROOT, 2 * (ROOT + LAYER))
    assert (
        of(mixed).allocated == of(replace(mixed, weights="fp32", gradients="fp32", optimizer_states="fp32")).allocated
    )


def test_before_accelerate_0_30_trained_parameters_stayed_as_loaded() -> None:
    early = replace(FULL, amp=True, stack=Stack("trl", versions={**RELEASES, "accelerate": "0.29.3"}))
    assert row(early, PhaseName.OPTIMIZER_STEP, "weights") == PARAMETERS


@pytest.mark.parametrize(
    ("accelerate", "peft", "sharded", "dtype"),
    [
        ("0.29.3", "0.11.1", True, "fp16"),
        ("0.32.1", "0.11.1", True, "fp32"),
        ("0.29.3", "0.12.0", True, "fp32"),
        ("0.29.3", "0.11.1", False, "fp32"),
    ],
)
def test_adapters_took_the_dtype_in_which_sharded_4_bit_weights_lie(
    accelerate: str, peft: str, sharded: bool, dtype: str
) -> None:
    versions = {"accelerate": accelerate, "peft": peft, "trl": "0.8.6"}
    assert adapter_dtype("trl", "nf4", "fp16", versions, sharded=sharded) == dtype


def test_gradients_stay_whole_until_the_last_micro_batch() -> None:
    """accelerate's no_sync leaves gradients as they come; with several micro-batches nothing is shared out before."""
    several = replace(FULL, gradient_accumulation=2)
    assert row(several, PhaseName.FORWARD_END, "gradients") == 2 * PARAMETERS
    assert row(several, PhaseName.OPTIMIZER_STEP, "gradients") == PARAMETERS


def test_scales_of_4_bit_weights_are_on_every_gpu() -> None:
    rest = 2 * (ROOT + 32 * 2 * 4096)
    blocks = LINEARS // 64
    scales = blocks + blocks // 256 * 4 + 32 * 7 * 4 * (16 + 256 + 1)  # absmax, its own scales; tables and offset
    assert row(QLORA, PhaseName.LOAD, "weights") == (LINEARS // 2 + rest) // 2 + scales


@pytest.mark.parametrize("setting", [LORA, QLORA], ids=["lora", "qlora"])
def test_each_matrix_of_an_adapter_is_a_unit(setting: Setting) -> None:
    assert row(setting, PhaseName.OPTIMIZER_STEP, "adapters") == 4 * ADAPTERS // 2
    assert row(setting, PhaseName.OPTIMIZER_STEP, "optimizer_states") == 8 * ADAPTERS // 2


@pytest.mark.parametrize(("setting", "trained"), [(FULL, 2 * PARAMETERS), (LORA, 4 * ADAPTERS)], ids=["full", "lora"])
def test_ddp_adds_buckets_and_nothing_else(setting: Setting, trained: int) -> None:
    alone, copied = replace(setting, parallel=Parallel()), replace(setting, parallel=Parallel(8, "ddp"))
    assert of(copied).allocated == of(alone).allocated + trained


READINGS = (
    (FULL, 36_226_200_000),
    (replace(FULL, batch_size=2), 36_226_200_000),
    (LORA, 15_245_500_000),
    (replace(LORA, batch_size=4), 22_161_200_000),
    (QLORA, 9_525_300_000),
    (LLAMA, 46_685_300_000),
    (replace(LLAMA, batch_size=4), 72_625_800_000),
)
"""max_memory_allocated of rank 0 of two A100s, to the next 100 kB: foundation-model-stack/fms-acceleration,
scripts/benchmarks/refs/a100_80gb.csv, frameworks none and baseline-peft-bnb, sequences of 4,096 packed tokens."""


@pytest.mark.parametrize(("setting", "read"), READINGS, ids=lambda one: getattr(one, "method", None))
def test_the_peak_is_the_one_that_was_read(setting: Setting, read: int) -> None:
    assert of(setting).allocated == pytest.approx(read, rel=0.0002)


@pytest.mark.parametrize("setting", [FULL, LORA], ids=["full", "lora"])
def test_offloading_leaves_only_what_runs(setting: Setting) -> None:
    away = replace(setting, parallel=Parallel(2, "fsdp", offload=True))
    held = of(setting).ledger.phase(PhaseName.FORWARD_END)
    left = of(away).ledger.phase(PhaseName.FORWARD_END)
    assert held is not None
    assert left is not None
    steady = (Category.WEIGHTS, Category.ADAPTERS, Category.OPTIMIZER_STATES)
    assert left.of(*steady) == 0
    assert left.total <= held.total - held.of(*steady)
    assert row(away, PhaseName.OPTIMIZER_STEP, "optimizer_temporary") == 0


def test_hooks_keep_inputs_and_gradients_only_of_checkpoints_around_units() -> None:
    """31 layers' inputs and as many gradients (the 32nd is the first layer's own), 2 bytes each."""
    newer = replace(LORA, stack=Stack("trl", versions={**RELEASES, "transformers": "4.53.0"}))
    kept = 31 * 2 * 4096 * 4096 * 2
    assert row(LORA, PhaseName.BACKWARD, "layer_inputs") == kept + 2 * 4096 * 4096 * 2
    assert of(newer).allocated < of(LORA).allocated


def test_the_card_has_room_for_nccl() -> None:
    one, two = of(replace(FULL, parallel=Parallel(1, "ddp"))), of(replace(FULL, parallel=Parallel(2, "ddp")))
    wider = (two.device[1] - two.reserved[1]) - (one.device[1] - one.reserved[1])
    assert wider == 688 * 2**20  # seen on four A100 (NCCL issue 964): more than its buffers
    assert wider > 64 * (4_194_304 + 4_915_200 + 524_288)


def test_a_loop_in_torch_shares_out_the_gradients_of_every_micro_batch() -> None:
    """Without no_sync a GPU has its half of all before a later micro-batch; accelerate keeps all until the last."""
    several = replace(FULL, gradient_accumulation=4, gradient_checkpointing="non-reentrant")
    loop = replace(several, stack=Stack("plain", versions={"torch": "2.4.1"}))

    assert row(loop, PhaseName.FORWARD_END, "gradients") == pytest.approx(2 * PARAMETERS // 2, rel=1e-6)
    assert row(several, PhaseName.FORWARD_END, "gradients") == pytest.approx(2 * PARAMETERS, rel=1e-6)
    step = PhaseName.OPTIMIZER_STEP
    assert row(loop, step, "gradients") == row(several, step, "gradients")


LITGPT = Setting(
    "meta-llama/Llama-2-7b-hf",
    "lora",
    "bf16",
    compute="bf16",
    amp=False,
    gradients="bf16",
    optimizer_states="bf16",
    optimizer_implementation="foreach",
    batch_size=1,
    sequence_length=512,
    gradient_accumulation=16,
    gradient_checkpointing="non-reentrant",
    lora=Lora(8, targets=("q_proj", "v_proj"), dropout=0.05),
    parallel=Parallel(gpus=4, strategy="fsdp"),
    stack=Stack("litgpt"),
)
LLAMA_2_LAYERS, LLAMA_2_LAYER = 32, 4 * 4096 * 4096 + 3 * 11_008 * 4096 + 2 * 4096
LLAMA_2_ADAPTERS = 32 * 2 * 8 * (4096 + 4096)


def litgpt_rows(setting: Setting) -> dict[str, int]:
    facts = load_model(setting.model)
    assert isinstance(facts, ModelFacts)
    phase = estimate(setting, facts).ledger.phase(PhaseName.BACKWARD)
    assert phase is not None
    return {row.name: row.bytes for row in phase.rows}


def test_blocks_of_litgpt_have_gradients_of_all_their_weights_until_the_last_micro_batch() -> None:
    """Frozen ones lie in one flat parameter with adapters; what is outside of blocks has none."""
    found = litgpt_rows(LITGPT)
    assert found["gradients"] == 2 * (LLAMA_2_LAYERS * LLAMA_2_LAYER + LLAMA_2_ADAPTERS)
    assert found["optimizer_states"] == 2 * 2 * LLAMA_2_ADAPTERS // 4


def test_an_adapter_outside_of_blocks_is_refused() -> None:
    outside = replace(LITGPT, lora=Lora(8, targets=("q_proj", "lm_head")))
    with pytest.raises(UnsupportedRow, match="adapters inside of blocks"):
        litgpt_rows(outside)


GEMMA_VOCABULARY, GEMMA_WIDTH = 256_000, 2048
GEMMA = replace(
    LITGPT, model="google/gemma-2b", method="full", lora=None, gradient_accumulation=4, optimizer_implementation="fused"
)


def test_pieces_of_the_root_are_counted_once_where_they_are_joined() -> None:
    """Embedding, output weight and norm, and the copy in one tensor; LitGPT ties no weights."""
    found = litgpt_rows(GEMMA)
    root = 2 * (2 * GEMMA_VOCABULARY * GEMMA_WIDTH + GEMMA_WIDTH)
    assert found["flat_gradient"] == pytest.approx(root, rel=1e-6)
    assert found["new_gradient"] == pytest.approx(root, rel=1e-6)


@pytest.mark.parametrize(
    ("model", "gpus", "read"), [("google/gemma-2b", 4, 17.43e9), ("stabilityai/stablelm-base-alpha-3b", 2, 21.23e9)]
)
def test_full_fine_tuning_under_litgpt_peaks_where_it_was_read(model: str, gpus: int, read: float) -> None:
    """Lightning-AI/litgpt at 26857050, config_hub/finetune/README.md: the output weight's gradient waits for others.

    With StableLM that is beside the last layer's, with Gemma all of the root's are.
    """
    setting = replace(GEMMA, model=model, parallel=Parallel(gpus=gpus, strategy="fsdp"))
    assert of(setting).allocated == pytest.approx(read, rel=0.001)


def test_nothing_is_joined_where_only_frozen_weights_lie() -> None:
    """Of adapters in blocks alone the largest flat gradient is a block's, though the root is nine times as large."""
    block = 2 * (2 * GEMMA_WIDTH * GEMMA_WIDTH + 2 * 256 * GEMMA_WIDTH + 3 * 16384 * GEMMA_WIDTH + 2 * GEMMA_WIDTH)
    adapters = replace(GEMMA, method="lora", lora=Lora(8, targets=("q_proj", "v_proj"), dropout=0.05))
    found = litgpt_rows(replace(adapters, sequence_length=8))
    assert found["flat_gradient"] == pytest.approx(block, rel=0.01)


def test_a_loop_of_ones_own_checkpoints_within_the_units() -> None:
    """As torch's apply_activation_checkpointing does: not every layer's input has a gradient that stays.

    By hand: the input of a layer is 2 rows of 4,096 tokens, 4,096 wide, of 2 bytes.
    """
    hidden = 2 * 4096 * 4096 * 2
    around = row(LORA, PhaseName.BACKWARD, "activation_gradients")
    own = replace(LORA, stack=replace(LORA.stack, trainer="plain"))
    assert around >= 31 * hidden
    assert row(own, PhaseName.BACKWARD, "activation_gradients") <= 3 * hidden


def test_an_embedding_of_its_own_is_not_there_while_layers_go_back() -> None:
    """Gathered are the output weight with the last norm, the layer that runs and the next; in bfloat16."""
    embedding = 32000 * 4096
    loop = replace(FULL, stack=Stack("plain", versions=RELEASES))
    apart = replace(loop, parallel=replace(FULL.parallel, wraps_embeddings=True))
    assert row(loop, PhaseName.BACKWARD, "gathered_parameters") == 2 * (ROOT + 2 * LAYER)
    assert row(apart, PhaseName.BACKWARD, "gathered_parameters") == 2 * (ROOT - embedding + 2 * LAYER)
    for phase in (PhaseName.LOAD, PhaseName.OPTIMIZER_STEP):  # the same parts, cut elsewhere
        assert row(apart, phase, "weights") == row(loop, phase, "weights") == PARAMETERS


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"method": "lora", "lora": Lora(16, 16, TARGETS, 0.1, "fp32")}, "method lora"),
        ({"model": "openai-community/gpt2"}, "several embeddings"),
        ({"model": "Qwen/Qwen2.5-0.5B"}, "an output weight that is the embedding's"),
        ({"model": "google-t5/t5-small"}, "an encoder and a decoder"),
    ],
)
def test_embeddings_that_are_units_in_ways_that_are_not_followed(change: dict[str, Any], reason: str) -> None:
    setting = replace(FULL, parallel=Parallel(2, "fsdp", wraps_embeddings=True), **change)
    with pytest.raises(UnsupportedRow, match=f"no formula for {reason} with embeddings as units"):
        of(setting)
