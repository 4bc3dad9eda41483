"""What is left when a stage of a Trainer or a step of a loop is over, against published readings of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.memory.test_accelerated_peft import FUSED, LLAMA_2, MISTRAL, TRITON, TWO, of, setting
from toolkit.accuracy.metrics import PREDICTS
from toolkit.memory.estimate import Estimate
from toolkit.spec.settings.setting import Parallel, Setting, Stack

FUSED_TRITON = replace(FUSED, gptq="triton")


def left(metric: str, found: Estimate) -> int:
    predicts = PREDICTS[metric]
    assert not isinstance(predicts, str)
    amount = predicts(found)
    assert amount is not None
    return amount[0]


@pytest.mark.parametrize(
    ("said", "read"),
    [
        (setting(MISTRAL, "nf4", 4, "9239802", "in-place", kernels=FUSED, parallel=TWO), 2_244_738_048),
        (setting(MISTRAL, "gptq-int4", 4, "9239802", "in-place", kernels=FUSED_TRITON, parallel=TWO), 2_261_416_960),
        (setting(LLAMA_2, "nf4", 2, "9239802", "in-place", kernels=FUSED, parallel=TWO), 19_266_784_768),
        (setting(MISTRAL, "gptq-int4", 4, "97fc3c1", kernels=TRITON, parallel=TWO), 2_261_416_960),
    ],
    ids=["fused, NF4", "fused, GPTQ", "fused, 70B", "not fused"],
)
def test_adapters_that_come_between_two_stages_are_in_no_sum_of_stages(said: Setting, read: int) -> None:
    """fms-acceleration, scripts/benchmarks/refs/a100_80gb.csv; fused adapters of Mistral take 54,525,952 bytes."""
    assert left("allocated_after_stage", of(said)) == pytest.approx(read, rel=0.0005)


def test_zero_2_lets_go_of_gradients_and_a_loop_keeps_the_result_that_it_names() -> None:
    """OPT 1.3B on 16 GPUs: weights, a 16th of three float32 copies, logits of 8 x 512 tokens, and two workspaces.

    From 0.8.2 to 0.17.1 DeepSpeed keeps the gradients of a first step that overflows in float16: where a GPU's part
    ends in a weight, those of all of it, as of the embedding of 50,272 x 2,048, which is longer than a 16th.
    """
    opt = Setting(
        "facebook/opt-1.3b", "full", "fp16", compute="fp16", batch_size=8, sequence_length=512, attention="eager",
        gradients="fp16", optimizer_states="fp32", master_weights="fp32", parallel=Parallel(16, "zero2"),
        stack=Stack("plain", "named", {"transformers": "4.28.1", "deepspeed": "0.9.0"}),
    )  # fmt: skip
    parameters, logits = 1_315_758_080, 8 * 512 * 50_272
    held = 2 * parameters + 3 * 4 * parameters // 16 + 2 * logits + 2 * 8_519_680
    assert left("allocated_after_step", of(opt)) == pytest.approx(held + 2 * 50_272 * 2_048, rel=0.0005)
    later = replace(opt, stack=Stack("plain", "named", {"transformers": "4.28.1", "deepspeed": "0.17.2"}))
    assert left("allocated_after_step", of(later)) == pytest.approx(held, rel=0.0005)


def test_zero_3_keeps_the_buffers_of_its_optimizer_when_a_stage_is_over() -> None:
    """OPT 1.3B on 16 GPUs: a 16th of weights, gradients and float32 copies, 500,000,000 fp16 elements, two workspaces.

    DeepSpeed's optimizer of ZeRO 3 makes a bucket of reduce_bucket_size elements, 5e8 by its documentation, and a flat
    buffer for its part of all gradients, which are there until it is gone (runtime/zero/stage3.py). Weights of fewer
    than 100,000 elements are whole on every GPU: less than 0.1 % of all.
    """
    opt = Setting(
        "facebook/opt-1.3b", "full", "fp16", compute="fp16", batch_size=8, sequence_length=512, attention="eager",
        gradients="fp16", optimizer_states="fp32", master_weights="fp32", parallel=Parallel(16, "zero3"),
        stack=Stack("transformers", versions={"transformers": "4.28.1", "deepspeed": "0.9.0"}),
    )  # fmt: skip
    held = (2 + 2 + 3 * 4) * 1_315_758_080 // 16 + 2 * 500_000_000 + 2 * 8_519_680
    assert left("allocated_after_stage", of(opt)) == pytest.approx(held, rel=0.002)
    assert left("allocated_after_step", of(opt)) == pytest.approx(held, rel=0.002)


LLAMA_3 = Setting(
    "meta-llama/Meta-Llama-3-8B", "full", "bf16", compute="bf16", gradients="bf16", optimizer_states="bf16",
    batch_size=4, sequence_length=512, padding=True, gradient_checkpointing="reentrant", gpu="RTX PRO 6000 Blackwell",
    stack=Stack("plain", result="next", versions={"transformers": "4.57.3", "torch": "2.9.1"}),
)  # fmt: skip
PARAMETERS, VOCABULARY = 8_030_261_248, 128_256


def test_ddp_keeps_its_buckets_beside_gradients_and_states() -> None:
    """Five times the parameters in 16 bits, the logits that the loop names, and two workspaces.

    tanny1412/distributed-llm-training at 8f31bc4, devlogs.md: 77,099 MiB on each of 4 GPUs, 61,783 MiB on one.
    """
    several = of(replace(LLAMA_3, parallel=Parallel(4, "ddp")))
    named = 4 * 512 * VOCABULARY * 2
    held = PARAMETERS * 2 + named + 2 * 8_519_680
    assert left("allocated_after_step", several) == pytest.approx(held + 4 * PARAMETERS * 2, rel=0.0005)
    assert left("allocated_after_step", several) == pytest.approx(77_099 << 20, rel=0.001)
    assert left("allocated_after_step", of(LLAMA_3)) == pytest.approx(held + 3 * PARAMETERS * 2, rel=0.0005)
    assert left("allocated_after_step", of(LLAMA_3)) == pytest.approx(61_783 << 20, rel=0.001)


def test_a_result_whose_end_is_said_is_counted_once_after_a_step() -> None:
    predicts = PREDICTS["allocated_after_step"]
    assert not isinstance(predicts, str)
    low, high = predicts(of(LLAMA_3)) or (0, 0)
    assert low == high
    low, high = predicts(of(replace(LLAMA_3, stack=replace(LLAMA_3.stack, result=None)))) or (0, 0)
    assert high - low == 4 * 512 * VOCABULARY * 2


@pytest.mark.parametrize(
    ("changed", "read"),
    [
        ({}, 49_549),
        ({"gradient_checkpointing": "false", "uncached": True}, 62_421),
        ({"parallel": Parallel(4, "ddp")}, 64_866),
        ({"gradient_checkpointing": "false", "uncached": True, "parallel": Parallel(4, "fsdp")}, 29_965),
    ],
    ids=["checkpoints", "none", "DDP", "FSDP"],
)
def test_the_forward_pass_alone_peaks_as_it_was_read(changed: dict[str, Any], read: int) -> None:
    """tanny1412/distributed-llm-training at 8f31bc4: read after the forward pass, reset before it, in MiB."""
    assert left("allocated_over_forward", of(replace(LLAMA_3, **changed))) == pytest.approx(read << 20, rel=0.002)
