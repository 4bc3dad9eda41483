"""Megatron-LM's training by hand and by the golden values of its own functional tests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from toolkit.facts.models import ModelFacts, load_model, model_from_config
from toolkit.memory.architecture.config import UnsupportedModel
from toolkit.memory.estimate import Estimate, estimate, on_gpu
from toolkit.memory.ledger import PhaseName
from toolkit.memory.parallel.megatron_batches import megatron_batches, on_their_way
from toolkit.memory.refusal import UnsupportedRow
from toolkit.spec.settings.setting import Kernels, Parallel, Setting, Stack

LAYERS, WIDTH, HEADS, SEQUENCE, BATCH = 12, 512, 8, 1024, 4
ROWS = 50_304  # 50,257 to the next multiple of 128
LAYER = 12 * WIDTH**2 + 13 * WIDTH
PARAMETERS = ROWS * WIDTH + SEQUENCE * WIDTH + LAYERS * LAYER + 2 * WIDTH
TOKENS = BATCH * SEQUENCE
STREAM = 2 * TOKENS * WIDTH
SCORES = BATCH * HEADS * SEQUENCE**2
STATISTICS = 2 * 4 * TOKENS
WORKSPACES = 2 * (32 << 20) + (32 << 20) + 1024

GPT2: dict[str, Any] = {
    "model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "vocab_size": 50_257, "n_embd": WIDTH,
    "n_layer": LAYERS, "n_head": HEADS, "n_positions": SEQUENCE, "activation_function": "gelu_new",
}  # fmt: skip
ALONE = Setting(
    "gpt",
    "full",
    "bf16",
    compute="bf16",
    amp=False,
    master_weights="fp32",
    gradients="fp32",
    optimizer="adamw",
    optimizer_implementation="fused",
    optimizer_states="fp32",
    batch_size=BATCH,
    sequence_length=SEQUENCE,
    attention="eager",
    gpu="H100 80GB",
    stack=Stack("megatron", "cross-entropy", {}),
)
SHARDED = replace(ALONE, parallel=Parallel(gpus=8, strategy="distributed-optimizer"))
STAGED = replace(
    ALONE, gradient_accumulation=4, parallel=Parallel(gpus=4, strategy="pipeline", schedule="1f1b")
)  # fmt: skip


def known(setting: Setting, **config: Any) -> Estimate:
    return estimate(setting, model_from_config({**GPT2, **config}, "gpt"))


def rows(found: Estimate, name: PhaseName) -> dict[str, int]:
    phase = found.ledger.phase(name)
    assert phase is not None
    return {row.name: row.bytes for row in phase.rows}


def test_what_is_held_between_steps() -> None:
    step = rows(known(ALONE), PhaseName.OPTIMIZER_STEP)
    held = {"weights": 2, "gradients": 4, "master_weights": 4, "optimizer_states": 8}
    assert {name: size for name, size in step.items() if name in held} == {
        name: size * PARAMETERS for name, size in held.items()
    }
    assert step["cublas_workspace"] + step["transformer_engine_workspace"] == WORKSPACES
    assert sum(step.values()) == 18 * PARAMETERS + WORKSPACES


def test_the_peak_at_the_loss() -> None:
    """A layer keeps its input, the first norm's result, q, k and v, what attention gives, the middle of the stream, the
    second norm's result, four streams before GELU and four after; two masks of half a stream; and of scores the
    probabilities, their mask and what it leaves."""
    layer = (1 + 1 + 3 + 1 + 1 + 1 + 4 + 4) * STREAM + 2 * STREAM // 2 + 2 * STATISTICS + (2 + 1 + 2) * SCORES
    ends = 2 * STREAM + STATISTICS + STREAM // 2 + (2 + 4) * TOKENS * ROWS
    batch = TOKENS * (3 * 8 + 4) + TOKENS * SEQUENCE
    forward = known(ALONE).ledger.phase(PhaseName.FORWARD_END)
    assert forward is not None
    of_the_loss = 4 * TOKENS
    assert forward.total == 18 * PARAMETERS + WORKSPACES + LAYERS * layer + ends + batch + of_the_loss


# The golden values of gpt3_mcore_te_tp1_pp1_dist_optimizer_no_mmap_bin_files on H100; those of the next are of
# gpt3_mcore_te_tp1_pp1_resume_torch_dist_uniform_full_recompute_1node on GB200 (four GPUs), at commit d98e8a6.
@pytest.mark.parametrize(
    ("setting", "peak", "held", "close"),
    [
        (SHARDED, 4_702_430_720, 581_489_664, 0.0001),
        (
            replace(
                ALONE,
                attention="flash",
                gpu="GB200",
                gradient_accumulation=2,
                gradient_checkpointing="reentrant",
                parallel=Parallel(gpus=4, strategy="ddp"),
            ),
            2_562_384_384,
            1_259_751_936,
            0.005,
        ),
    ],
    ids=["distributed optimizer", "recomputed layers"],
)
def test_golden_values(setting: Setting, peak: int, held: int, close: float) -> None:
    found = known(setting)
    step = found.ledger.phase(PhaseName.OPTIMIZER_STEP)
    assert step is not None
    assert found.allocated == pytest.approx(peak, rel=close)
    assert step.total == pytest.approx(held, rel=close)


def test_flash_keeps_no_scores_but_a_second_result() -> None:
    """On A100 golden values of unfused attention and of FlashAttention are 4,120,941,056 and 2,159,585,792 bytes above
    what is held between steps: 163,446,272 a layer, with a block of 512 bytes for the state of a generator."""
    less = known(SHARDED).allocated - known(replace(SHARDED, attention="flash")).allocated
    assert less == LAYERS * (163_446_272 + 512)


def test_the_distributed_optimizer_shards_states_and_float32_weights_alone() -> None:
    whole, mine = (rows(known(setting), PhaseName.OPTIMIZER_STEP) for setting in (ALONE, SHARDED))
    for name, size in whole.items():
        shards = 8 if name in ("master_weights", "optimizer_states") else 1
        assert mine[name] * shards == pytest.approx(size, abs=8 * shards), name


def test_copies_have_no_buckets_beside_the_buffer_of_gradients() -> None:
    copied = known(replace(ALONE, parallel=Parallel(gpus=8, strategy="ddp")))
    assert rows(copied, PhaseName.BACKWARD) == rows(known(ALONE), PhaseName.BACKWARD)


def test_the_last_stage_has_an_output_weight_of_its_own() -> None:
    found = known(STAGED)
    first, *_, last = (rows(one, PhaseName.OPTIMIZER_STEP) for one in found.each)
    layers = LAYERS // 4 * LAYER
    assert first["weights"] == 2 * (layers + ROWS * WIDTH + SEQUENCE * WIDTH)
    assert last["weights"] == 2 * (layers + ROWS * WIDTH + 2 * WIDTH)
    assert last["master_weights"] == 2 * last["weights"]
    assert found.parameters_total == PARAMETERS


def test_stages_of_1f1b_keep_as_many_micro_batches_as_stages_follow() -> None:
    """The first of four stages keeps the scores of four micro-batches, the last of one."""
    scores = [rows(one, PhaseName.BACKWARD)["attention_scores"] for one in known(STAGED).each]
    assert [size // scores[-1] for size in scores] == [4, 3, 2, 1]
    kept = rows(known(STAGED).each[0], PhaseName.OPTIMIZER_STEP)
    assert "received_buffers" not in kept


def test_a_block_keeps_its_last_input_and_its_gradient() -> None:
    """Golden values of the last of four stages lie 2 x 4,194,304 bytes and a few blocks' rests above all else."""
    last = rows(known(STAGED).each[-1], PhaseName.OPTIMIZER_STEP)
    assert last["received_buffers"] == 2 * STREAM
    above = 746_444_288 - 18 * (LAYERS // 4 * LAYER + ROWS * WIDTH + 2 * WIDTH) - WORKSPACES
    assert 0 < above - last["received_buffers"] < 4 << 20


def test_golden_values_of_layers_that_are_split() -> None:
    """Golden values of gpt3_mcore_te_tp2_pp2_resume_torch_dist_no_create_attention_mask_in_dataloader on GB200.

    Its batches come without the mask of all pairs.
    """
    parallel = Parallel(gpus=2, strategy="pipeline", schedule="1f1b", tensor_parallel=2)
    last = known(replace(STAGED, attention="flash", gpu="GB200", parallel=parallel)).each[-1]
    step = last.ledger.phase(PhaseName.OPTIMIZER_STEP)
    assert step is not None
    assert last.allocated - TOKENS * SEQUENCE == pytest.approx(1_430_390_272, rel=0.0002)
    assert step.total == pytest.approx(511_860_224, rel=0.0001)


def test_split_layers_leave_the_stream_and_norms_whole() -> None:
    """Two of eight heads and a quarter of each matrix; vocabularies are padded to 4 x 128 rows."""
    found = known(replace(ALONE, parallel=Parallel(tensor_parallel=4)))
    alone, mine = rows(known(ALONE), PhaseName.FORWARD_END), rows(found, PhaseName.FORWARD_END)
    padded = 50_688
    matrices = 12 * WIDTH**2 + (3 + 4) * WIDTH  # with the biases of what is cut by outputs
    whole = (2 * 2 + 2) * WIDTH  # two norms, and two biases of what is cut by inputs
    held = padded * WIDTH // 4 + SEQUENCE * WIDTH + LAYERS * (matrices // 4 + whole) + 2 * WIDTH
    assert mine["weights"] == 2 * held
    assert mine["master_weights"] == 4 * held
    for row in ("residual_stream", "norm_states", "embedding_states"):
        assert mine[row] == alone[row]
    for row in ("attention_states", "attention_scores", "attention_output", "feed_forward_states"):
        assert mine[row] * 4 == alone[row]
    assert mine["logits"] == 2 * TOKENS * padded // 4
    assert found.parameters_total == PARAMETERS + (padded - ROWS) * WIDTH


INTERLEAVED = replace(
    STAGED, gradient_accumulation=8, parallel=replace(STAGED.parallel, chunks=3, optimizer_shards=1), gpu="GB200"
)


def test_golden_values_of_interleaved_stages() -> None:
    """The golden values of gpt3_mcore_te_tp1_pp4_vp1_1node on GB200: the last of four stages, with three chunks."""
    last = known(INTERLEAVED).each[-1]
    step = last.ledger.phase(PhaseName.OPTIMIZER_STEP)
    assert step is not None
    assert last.allocated == pytest.approx(4_148_528_640, rel=0.0001)
    assert step.total == pytest.approx(759_682_560, rel=0.0001)


@pytest.mark.parametrize(
    ("count", "stage", "chunks", "visits"),
    [(8, 3, 3, 9), (8, 0, 3, 15), (8, 2, 1, 2), (4, 1, 2, 8)],
)
def test_visits_on_their_way(count: int, stage: int, chunks: int, visits: int) -> None:
    """(chunks - 1) x 4 stages, twice the stages that follow, and one; but never more than there are."""
    assert on_their_way(count, (stage, 4), chunks) == visits


def test_what_the_visit_before_gave_keeps_its_input_and_the_gradient_of_that() -> None:
    """Beside the last stage's next pass: of 1F1B both; of interleaved chunks another gradient that came ahead."""
    for setting, received in ((STAGED, 1), (INTERLEAVED, 2)):
        forward = rows(known(setting).each[-1], PhaseName.FORWARD_END)
        assert forward["activation_gradients"] == STREAM
        assert forward["received_buffers"] == received * STREAM
    once = known(replace(STAGED, gradient_accumulation=1)).each[-1]
    assert "received_buffers" not in rows(once, PhaseName.FORWARD_END)


def test_copies_of_a_pipeline_share_out_the_optimizer() -> None:
    whole, mine = (
        rows(known(replace(STAGED, parallel=replace(STAGED.parallel, optimizer_shards=shards))), PhaseName.BACKWARD)
        for shards in (1, 4)
    )
    for name, size in whole.items():
        shards = 4 if name in ("master_weights", "optimizer_states") else 1
        assert mine[name] * shards == pytest.approx(size, abs=8 * shards), name


@pytest.mark.parametrize("count", [1, 2, 6])
def test_chunks_want_multiples_of_as_many_micro_batches_as_stages(count: int) -> None:
    with pytest.raises(UnsupportedRow, match=f"multiples of as many micro-batches, not {count}"):
        known(replace(INTERLEAVED, gradient_accumulation=count))


def test_fewer_micro_batches_than_stages_are_all_on_their_way() -> None:
    found = megatron_batches(count=2, place=(1, 4), chunks=1, stored=(), given=0)
    assert [(one.waiting, one.sent) for one in found.forwards] == [(1, 0)]
    assert [(one.waiting, one.sent) for one in found.backwards] == [(1, 0), (0, 1)]


@pytest.mark.parametrize(("gpu", "size"), [("A100 80GB", 4 << 20), ("H100 80GB", (32 << 20) + 1024), (None, 4 << 20)])
def test_transformer_engine_has_a_workspace_by_the_card(gpu: str | None, size: int) -> None:
    there = on_gpu(known(ALONE), replace(ALONE, gpu=gpu))
    anew = known(replace(ALONE, gpu=gpu))
    assert rows(anew, PhaseName.BACKWARD)["transformer_engine_workspace"] == size
    assert there.allocated == anew.allocated


def test_a_llama_has_as_many_parameters_as_published() -> None:
    facts = load_model("meta-llama/Llama-3.2-1B")  # whose 128,256 rows are a multiple of 128
    assert isinstance(facts, ModelFacts)
    found = estimate(replace(ALONE, attention="flash"), facts)
    assert found.parameters_total == 1_235_814_400
    kept = rows(found, PhaseName.FORWARD_END)
    # Gate and up, and their product, which the second matrix multiplies.
    assert kept["feed_forward_states"] == 16 * (2 + 1) * 2 * TOKENS * 8192


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"weights": "fp16", "compute": "fp16"}, "bfloat16 weights"),
        ({"gradients": "bf16"}, "in float32"),
        ({"master_weights": None}, "in float32"),
        ({"optimizer": "sgd", "optimizer_implementation": "foreach"}, "fused AdamW"),
        ({"gradient_checkpointing": "selective"}, "checkpoints of whole layers"),
        ({"padding": True}, "rows that are full"),
        ({"kernels": Kernels(liger=True)}, "its own kernels"),
        ({"method": "inference"}, "full training"),
        ({"parallel": Parallel(gpus=2, strategy="tensor")}, "tensor"),
        ({"parallel": Parallel(gpus=2, strategy="zero1")}, "zero1 with megatron"),
        ({"parallel": Parallel(gpus=2, strategy="pipeline", schedule="gpipe")}, "1F1B"),
        ({"stack": Stack("plain", "cross-entropy", {}), "parallel": SHARDED.parallel}, "Megatron-LM's"),
        ({"stack": Stack("plain", "cross-entropy", {}), "parallel": replace(STAGED.parallel, chunks=3)}, "chunks"),
        ({"parallel": replace(STAGED.parallel, chunks=2)}, "3 layers of a stage cannot be split evenly into 2 chunks"),
        ({"parallel": Parallel(tensor_parallel=3)}, "8 query heads"),
        ({"stack": Stack("plain", "cross-entropy", {}), "parallel": Parallel(tensor_parallel=2)}, "split beside none"),
    ],
)
def test_what_is_not_followed_is_refused_by_name(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(UnsupportedRow, match=reason):
        known(replace(ALONE, **change))


@pytest.mark.parametrize("model", ["Qwen/Qwen3-0.6B", "mistralai/Mixtral-8x7B-v0.1", "tiiuae/falcon-7b"])
def test_other_layers_are_refused_by_name(model: str) -> None:
    facts = load_model(model)
    assert isinstance(facts, ModelFacts)
    with pytest.raises(UnsupportedModel, match="Megatron-LM"):
        estimate(replace(ALONE, model=model), facts)


def test_an_activation_that_no_kernel_fuses_is_refused() -> None:
    with pytest.raises(UnsupportedModel, match="no formula for relu in Megatron-LM yet"):
        known(ALONE, activation_function="relu")
