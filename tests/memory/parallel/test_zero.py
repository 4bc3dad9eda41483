"""ZeRO, against the formulas of its paper and DeepSpeed's own, and by hand from the shapes of Mistral 7B."""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate

import pytest

from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.estimate import Estimate, estimate
from toolkit.memory.ledger import Category, PhaseName
from toolkit.memory.parallel.zero_gather import gathered
from toolkit.memory.parallel.zero_settings import Sizes, sizes_of
from toolkit.memory.parallel.zero_visits import LOGITS, LOSS, Checkpoints, Leaf, Visit, Weight, visits
from toolkit.spec.settings.setting import Lora, Parallel, Setting, Stack, Zero

HIDDEN, VOCABULARY, LAYERS = 4096, 32000, 32
LAYER = 2 * 4096 * 4096 + 2 * 1024 * 4096 + 3 * 14336 * 4096 + 2 * 4096
PARAMETERS = LAYERS * LAYER + 2 * VOCABULARY * HIDDEN + HIDDEN
NORMS = (2 * LAYERS + 1) * HIDDEN
EMBEDDING = VOCABULARY * HIDDEN

FULL = Setting(
    "mistralai/Mistral-7B-v0.1",
    "full",
    "bf16",
    amp=True,
    batch_size=1,
    sequence_length=512,
    gradient_checkpointing="non-reentrant",
    gpu="A100 80GB",
)
STAGES = ("zero1", "zero2", "zero3")


def zero(stage: str, gpus: int, offload: bool | str = False, **said: int | str | bool) -> Setting:
    return replace(FULL, parallel=Parallel(gpus, stage, offload, Zero(**said)))  # type: ignore[arg-type]  # names vary


def of(setting: Setting) -> Estimate:
    facts = load_model(setting.model)
    assert isinstance(facts, ModelFacts)
    return estimate(setting, facts)


def row(setting: Setting, phase: PhaseName, name: str) -> int:
    found = of(setting).ledger.phase(phase)
    assert found is not None
    return next((row.bytes for row in found.rows if row.name == name), 0)


def kept(gpus: int) -> int:
    """Elements of the weights, in their order, that the first GPU's part reaches: that where it ends is whole."""
    attention, mlp = [HIDDEN * HIDDEN, 1024 * HIDDEN, 1024 * HIDDEN, HIDDEN * HIDDEN], 3 * [14336 * HIDDEN]
    order = [EMBEDDING, *LAYERS * [*attention, *mlp, HIDDEN, HIDDEN], HIDDEN, EMBEDDING]
    return next(there for there in accumulate(order) if there >= PARAMETERS / gpus)


STEP, BACKWARD, FORWARD = PhaseName.OPTIMIZER_STEP, PhaseName.BACKWARD, PhaseName.FORWARD_END


@pytest.mark.parametrize("gpus", [2, 4, 8, 64])
@pytest.mark.parametrize(("stage", "weights"), [("zero1", 2), ("zero2", 2), ("zero3", 0)])
def test_states_are_those_of_the_paper(stage: str, weights: int, gpus: int) -> None:
    """2 bytes a weight, whole until ZeRO 3, and 12 of a float32 copy and two moments in parts (section 3.1)."""
    found = of(zero(stage, gpus)).ledger.phase(STEP)
    assert found is not None
    states = found.of(Category.OPTIMIZER_STATES, Category.MASTER_WEIGHTS)
    assert states == pytest.approx(12 * PARAMETERS / gpus, rel=1e-5)
    held = found.of(Category.WEIGHTS)
    kept = 2 * NORMS if stage == "zero3" else 0  # small tensors stay gathered
    assert held - kept == pytest.approx(weights * PARAMETERS or 2 * PARAMETERS / gpus, rel=1e-5)


@pytest.mark.parametrize("gpus", [2, 8])
def test_gradients_are_whole_with_zero_1_and_parts_from_zero_2_on(gpus: int) -> None:
    """Their 2 bytes at the end of backward, in the paper's words: 4 + 12/N, 2 + 14/N and 16/N bytes a parameter."""
    assert row(zero("zero1", gpus), BACKWARD, "gradients") > 2 * (PARAMETERS - EMBEDDING)
    small = zero("zero2", gpus, reduce_bucket_size=HIDDEN * HIDDEN)
    assert row(small, BACKWARD, "gradients") == pytest.approx(2 * kept(gpus), rel=1e-5)
    assert row(zero("zero3", gpus), BACKWARD, "gradients") == pytest.approx(2 * PARAMETERS / gpus, rel=1e-5)


@pytest.mark.parametrize("gpus", [2, 8, 32])
def test_zero_2_needs_what_deepspeed_estimates(gpus: int) -> None:
    """estimate_zero2_model_states_mem_needs: 2 n + 18 n / N; beside it is the flat copy that float32 is made of.

    The rest of the weight where the part ends is in no formula.
    """
    step = of(zero("zero2", gpus)).ledger.phase(STEP)
    assert step is not None
    rows = {row.name: row.bytes for row in step.rows}
    beside = rows["flat_gradient"] + rows["cublas_workspace"] + rows["token_ids"]
    rest = 2 * (kept(gpus) - PARAMETERS / gpus)
    assert step.total - beside - rest == pytest.approx(2 * PARAMETERS + 18 * PARAMETERS / gpus, rel=1e-5)


@pytest.mark.parametrize("gpus", [2, 8, 32])
def test_zero_2_offloaded_keeps_the_weights_alone(gpus: int) -> None:
    """estimate_zero2_model_states_mem_needs with cpu_offload: 2 n, whatever N; and a buffer as long as a weight."""
    step = of(zero("zero2", gpus, "optimizer")).ledger.phase(STEP)
    assert step is not None
    rows = {row.name: row.bytes for row in step.rows}
    assert rows.pop("offload_buffer") == 2 * EMBEDDING
    assert rows["weights"] == 2 * PARAMETERS
    assert set(rows) <= {"weights", "allocator_rounding", "cublas_workspace", "token_ids"}


@pytest.mark.parametrize("gpus", [16, 32])
def test_zero_3_needs_what_deepspeed_estimates(gpus: int) -> None:
    """estimate_zero3_model_states_mem_needs: 18 n / N without a gathered layer, and without the 16-bit gradients.

    Those are 2 n / N more: grad_partitions_flat_buffer. A part of less than 1e9 elements is updated at once.
    """
    step = of(zero("zero3", gpus)).ledger.phase(STEP)
    assert step is not None
    rows = {row.name: row.bytes for row in step.rows}
    beside = rows["flat_gradient"] + rows["reduce_bucket"] + rows["cublas_workspace"] + rows["token_ids"] + 2 * NORMS
    beside += rows.get("allocator_rounding", 0) + rows["gradients"]
    assert step.total - beside == pytest.approx(18 * PARAMETERS / gpus, rel=1e-5)


def test_zero_3_offloads_states_and_weights() -> None:
    states = of(zero("zero3", 8, "optimizer")).ledger.phase(STEP)
    both = of(zero("zero3", 8, offload=True)).ledger.phase(STEP)
    assert states is not None
    assert both is not None
    assert states.of(Category.OPTIMIZER_STATES, Category.MASTER_WEIGHTS, Category.GRADIENTS) == 0
    assert states.of(Category.WEIGHTS) - both.of(Category.WEIGHTS) == pytest.approx(2 * PARAMETERS / 8, rel=1e-5)
    assert both.of(Category.WEIGHTS) == 2 * NORMS


@pytest.mark.parametrize(
    ("stage", "said", "elements"),
    [
        ("zero2", {}, 500_000_000),
        ("zero2", {"overlap_comm": True}, 1_000_000_000),
        ("zero2", {"buckets": "auto"}, HIDDEN * HIDDEN),
        ("zero2", {"buckets": "auto", "reduce_bucket_size": 300_000_000}, 300_000_000),
        ("zero2", {"contiguous_gradients": False}, 0),
        ("zero3", {}, 500_000_000),
        ("zero3", {"overlap_comm": True}, 500_000_000),
        ("zero3", {"buckets": "auto"}, HIDDEN * HIDDEN),
    ],
)
def test_buffers_are_as_long_as_the_config_says(stage: str, said: dict[str, int | str | bool], elements: int) -> None:
    """DeepSpeed's default is 5e8 elements, transformers writes the hidden width squared for auto."""
    setting = zero(stage, 8, **said)
    later = replace(setting, batch_size=1, sequence_length=16)  # the loss, before any gradient, is not the fullest
    assert row(later, BACKWARD, "reduce_bucket") == 2 * elements


def test_zero_3_updates_so_many_elements_at_once() -> None:
    """A part of 0.9e9 in groups of 1e8: each is made float32 by itself."""
    small = zero("zero3", 8, sub_group_size=100_000_000)
    at_once = row(small, STEP, "float32_gradients") // 4
    assert 100_000_000 <= at_once <= 100_000_000 + EMBEDDING // 8
    assert row(zero("zero3", 8), STEP, "float32_gradients") == pytest.approx(4 * PARAMETERS / 8, rel=1e-5)


def test_accumulated_gradients_stay_as_parts() -> None:
    several = replace(zero("zero2", 8), gradient_accumulation=4)
    assert row(several, FORWARD, "gradients") == pytest.approx(2 * kept(8), rel=1e-5)
    assert row(zero("zero2", 8), FORWARD, "gradients") == 0
    assert row(replace(zero("zero1", 8), gradient_accumulation=4), FORWARD, "gradients") == 2 * PARAMETERS


def test_torch_adamw_one_after_the_other_or_at_once_needs_more() -> None:
    """Square roots of one flat float32 part; the gradients' making of float32 has as much, so the peak is its."""
    fused = of(replace(zero("zero2", 8), optimizer_implementation="fused")).ledger.phase(STEP)
    foreach = of(replace(zero("zero2", 8), optimizer_implementation="foreach")).ledger.phase(STEP)
    assert fused is not None
    assert foreach is not None
    assert foreach.total - fused.total == 0
    assert fused.moment == "gradients made float32"


def test_float32_runs_have_a_second_copy_of_the_part() -> None:
    """Without bf16 or fp16 the flat weights are cloned all the same (detach().clone())."""
    plain = replace(zero("zero2", 4), weights="fp32", amp=False)
    assert row(plain, STEP, "weights") == 4 * PARAMETERS
    assert row(plain, STEP, "master_weights") == pytest.approx(PARAMETERS, rel=1e-5)


@pytest.mark.parametrize("stage", STAGES)
def test_bfloat16_master_weights_have_states_alike_and_take_gradients_as_they_are(stage: str) -> None:
    """bf16_master_weights_and_grads: `.to` of the dtype that the joined gradients have gives these themselves."""
    wide = zero(stage, 8)
    narrow = replace(wide, master_weights="bf16")
    for name in ("master_weights", "optimizer_states"):
        assert 2 * row(narrow, STEP, name) == row(wide, STEP, name)
    assert row(wide, STEP, "float32_gradients") > 0
    assert row(narrow, STEP, "float32_gradients") == 0
    assert row(narrow, STEP, "flat_gradient") == row(wide, STEP, "flat_gradient")


def test_float32_runs_cast_no_gradients() -> None:
    plain = replace(zero("zero2", 4), weights="fp32", amp=False)
    assert row(plain, STEP, "float32_gradients") == 0
    assert row(plain, STEP, "flat_gradient") == pytest.approx(PARAMETERS, rel=1e-5)


def test_a_loop_may_have_autocast_around_a_model_in_16_bits() -> None:
    """The engine casts the model and leaves it at that; what a loop puts around its passes it does not undo."""
    of_gpt2 = replace(zero("zero3", 8), model="openai-community/gpt2", gradient_checkpointing="false")
    loop = replace(of_gpt2, stack=Stack("plain"))
    assert of(loop).ledger.peak.total > of(replace(loop, amp=False)).ledger.peak.total  # norms give float32
    assert of(of_gpt2).ledger.peak.total == of(replace(of_gpt2, amp=False)).ledger.peak.total


def test_adapters_are_cast_to_16_bit() -> None:
    """The engine casts the whole module: adapters of 2 bytes, in parts a float32 copy and two moments."""
    lora = replace(zero("zero2", 4), method="lora", lora=Lora(16, targets=("q_proj", "v_proj")))
    adapters = LAYERS * 16 * ((4096 + 4096) + (4096 + 1024))
    assert row(lora, STEP, "adapters") == 2 * adapters
    assert row(lora, STEP, "optimizer_states") + row(lora, STEP, "master_weights") == 12 * adapters // 4


def test_a_qlora_base_is_whole_on_every_gpu() -> None:
    qlora = replace(zero("zero2", 4), method="qlora", weights="nf4", lora=Lora(16))
    alone = replace(qlora, parallel=Parallel(), stack=Stack("unsloth"))  # which prepares nothing in float32
    assert row(qlora, PhaseName.LOAD, "weights") == row(alone, PhaseName.LOAD, "weights")


def test_one_gpu_gathers_out_of_main_memory_or_nothing() -> None:
    """NoGatherHandle copies a weight to the GPU, which where it is there already gives itself."""
    stays, moves = zero("zero3", 1), zero("zero3", 1, True)
    assert row(stays, PhaseName.LOAD, "weights") == 2 * PARAMETERS
    assert row(stays, STEP, "master_weights") == 4 * PARAMETERS
    assert not any(row(stays, phase, "gathered_parameters") for phase in (FORWARD, BACKWARD))
    assert row(moves, PhaseName.LOAD, "weights") == 2 * NORMS  # too small to be let go of
    one_by_one = {"prefetch_bucket_size": 0}
    alone = zero("zero3", 1, True, **one_by_one)
    among = zero("zero3", 8, True, **one_by_one)
    assert row(alone, BACKWARD, "gathered_parameters") == row(among, BACKWARD, "gathered_parameters") > 0


def test_one_gpu_has_no_buffer_to_gather_several_weights_in() -> None:
    order = [Visit((Weight(name, 10),)) for name in "abc"]
    sizes = replace(SIZES, prefetch_bucket_size=20, max_live_parameters=100, max_reuse_distance=0)
    assert gathered(order, sizes)[""] > gathered(order, replace(sizes, alone=True))[""] == 30


SIZES = Sizes(
    reduce_bucket_size=1,
    prefetch_bucket_size=0,
    param_persistence_threshold=0,
    max_live_parameters=1000,
    max_reuse_distance=0,
    sub_group_size=1,
    buffers=1,
)


def leaf(name: str, elements: int) -> Leaf:
    return Leaf(name, (Weight(name, elements),))


LAYERS_OF = [[leaf("a", 10), leaf("b", 20)], [leaf("c", 10), leaf("d", 20)]]
MODEL = [leaf("embedding", 50)], LAYERS_OF, [leaf("head", 40)]
ORDER = tuple(visit for visit in visits(MODEL, Checkpoints()) if visit.weights)


def test_without_gathering_ahead_or_reuse_one_weight_is_there_at_a_time() -> None:
    found = gathered(ORDER, SIZES)
    assert found["last layer"] == 20
    assert found[LOGITS] == found[LOSS] == 40
    assert found["embedding"] == 50


def test_a_weight_whose_next_use_is_near_stays() -> None:
    """From the head's forward to its backward nothing lies between, and d's is 80 elements away; others' are more."""
    near = gathered(ORDER, replace(SIZES, max_reuse_distance=81))
    assert near[LOSS] == 20 + 40
    assert near["last layer backward"] == 20
    assert gathered(ORDER, replace(SIZES, max_reuse_distance=80))[LOSS] == 40


def test_what_is_gathered_ahead_lies_in_a_buffer_until_it_is_used() -> None:
    """Ahead of layer 0 come its 10 and 20 in one buffer.

    When a runs both are copied out, b was not asked for yet, and layer 1 is on its way: three times 30.
    """
    found = gathered(ORDER[:1], replace(SIZES, prefetch_bucket_size=25))
    assert found == {"": 50}
    ahead = gathered(ORDER[:6], replace(SIZES, prefetch_bucket_size=25))
    assert ahead[""] == 3 * 30


def test_gathering_ahead_stops_at_the_most_that_may_be_live() -> None:
    least = gathered(ORDER, replace(SIZES, prefetch_bucket_size=1000, max_live_parameters=0))
    assert least == gathered(ORDER, SIZES)


@pytest.mark.parametrize("stage", STAGES)
def test_unsaid_sizes_are_deepspeeds(stage: str) -> None:
    found = sizes_of(zero(stage, 2), HIDDEN)
    assert (found.prefetch_bucket_size, found.param_persistence_threshold) == (50_000_000, 100_000)
    auto = sizes_of(zero(stage, 2, buckets="auto"), HIDDEN)
    assert (auto.prefetch_bucket_size, auto.param_persistence_threshold) == (15_099_494, 40_960)
