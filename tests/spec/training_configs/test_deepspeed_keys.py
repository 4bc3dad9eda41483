"""DeepSpeed's settings beside the stage: the optimizer that they choose, and what is refused or named."""

import json
from pathlib import Path

import pytest

from tests.spec.training_configs.reading import fields, mistakes, read, remarked

TEXT = "model_name_or_path: Qwen/Qwen2.5-0.5B\nmax_length: 512\noptim: adamw_8bit\n"
GPUS = {"parallel__gpus": "8"}


def _with(zero: dict[str, object], **other: object) -> str:
    return TEXT + "deepspeed: " + json.dumps({"zero_optimization": {"stage": 3, **zero}, **other}) + "\n"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (_with({"zero_hpz_partition_size": 8}), "zero_optimization.zero_hpz_partition_size"),
        (_with({"mics_shard_size": 4}), "zero_optimization.mics_shard_size"),
        (_with({"zero_quantized_nontrainable_weights": True}), "zero_optimization.zero_quantized_nontrainable_weights"),
        (_with({"zeropp_loco_param": {"err_beta": 0.8}}), "zero_optimization.zeropp_loco_param"),
        (_with({"zenflow": {}}), "zero_optimization.zenflow"),
        (_with({"offload_optimizer": {"device": "cpu", "ratio": 0.3}}), "zero_optimization.offload_optimizer.ratio"),
        (
            _with({"offload_optimizer": {"device": "cpu", "super_offload": True}}),
            "zero_optimization.offload_optimizer.super_offload",
        ),
        (_with({}, fp16={"fp16_master_weights_and_grads": True}), "fp16.fp16_master_weights_and_grads"),
        (_with({}, bf16={"bf16_master_weights_and_grads": True}), "bf16.bf16_master_weights_and_grads"),
        (_with({}, bf16={"bf16_optimizer_states": True}), "bf16.bf16_optimizer_states"),
        (_with({}, data_types={"grad_accum_dtype": "fp32"}), "data_types.grad_accum_dtype"),
        (_with({}, tensor_parallel={"autotp_size": 4}), "tensor_parallel"),
        (_with({}, optimizer={"type": "OneBitAdam"}), "optimizer.type"),
    ],
)
def test_what_moves_memory_is_refused_by_name(tmp_path: Path, text: str, key: str) -> None:
    (found,) = mistakes(tmp_path, text, "trl", **GPUS)
    assert f"S115 deepspeed.{key}: " in found


@pytest.mark.parametrize(
    ("zero", "other", "key"),
    [
        ({"zero_quantized_weights": True}, {}, "zero_optimization.zero_quantized_weights"),
        ({"zero_quantized_gradients": True}, {}, "zero_optimization.zero_quantized_gradients"),
        ({"memory_efficient_linear": False}, {}, "zero_optimization.memory_efficient_linear"),
        ({"reduce_scatter": False}, {}, "zero_optimization.reduce_scatter"),
        ({"stage3_model_persistence_threshold": 1000}, {}, "zero_optimization.stage3_model_persistence_threshold"),
        ({}, {"communication_data_type": "fp32"}, "communication_data_type"),
    ],
)
def test_what_the_estimate_goes_without_is_said(
    tmp_path: Path, zero: dict[str, object], other: dict[str, object], key: str
) -> None:
    (found,) = remarked(tmp_path, _with(zero, **other), "trl", **GPUS)
    assert f"S115 deepspeed.{key}: " in found


def test_a_key_that_nobody_knows_is_noted_wherever_it_stands(tmp_path: Path) -> None:
    zero = {"offload_optimizer": {"device": "cpu", "pin_memory": True, "strange": 1}, "new_thing": True}
    found = remarked(tmp_path, _with(zero, autotuning={"enabled": True}), "trl", **GPUS)
    assert [one.split("S116 ")[1].split(" ")[0] for one in found] == [
        "deepspeed.zero_optimization.offload_optimizer.strange",
        "deepspeed.zero_optimization.new_thing",
        "deepspeed.autotuning",
    ]
    assert read(tmp_path, _with(zero), "trl", **GPUS).findings[0].place.column > len("deepspeed: ")


def test_usual_settings_are_read_without_a_remark(tmp_path: Path) -> None:
    zero = {
        "overlap_comm": True, "contiguous_gradients": True, "round_robin_gradients": True, "reduce_bucket_size": "auto",
        "stage3_gather_16bit_weights_on_model_save": True, "stage3_max_live_parameters": 1e9, "mics_shard_size": -1,
        "zero_hpz_partition_size": 1, "zero_quantized_weights": False, "offload_param": {"device": "none"},
    }  # fmt: skip
    other = {
        "bf16": {"enabled": "auto"}, "fp16": {"enabled": "auto", "loss_scale": 0, "hysteresis": 2},
        "gradient_clipping": "auto", "train_batch_size": "auto", "wall_clock_breakdown": False,
        "optimizer": {"type": "AdamW", "params": {"lr": "auto", "betas": "auto"}}, "scheduler": {"type": "WarmupLR"},
    }  # fmt: skip
    assert remarked(tmp_path, _with(zero, **other), "trl", **GPUS) == []


def test_its_own_optimizer_goes_before_the_trainers(tmp_path: Path) -> None:
    own = fields(tmp_path, _with({}, optimizer={"type": "AdamW", "params": {"lr": 1e-4}}), "trl", **GPUS)
    assert (own["optimizer"], own["optimizer_implementation"]) == ("adamw", "fused")
    by_torch = fields(tmp_path, _with({}, optimizer={"type": "adam", "params": {"torch_adam": True}}), "trl", **GPUS)
    assert (by_torch["optimizer"], by_torch["optimizer_implementation"]) == ("adamw", "foreach")
    assert fields(tmp_path, _with({}), "trl", **GPUS)["optimizer"] == "adamw_8bit"
    text = "model_name_or_path: Qwen/Qwen2.5-0.5B\nstage: sft\ndo_train: true\noptim: adamw_8bit\ndeepspeed: "
    text += json.dumps({"zero_optimization": {"stage": 2}, "optimizer": {"type": "AdamW"}}) + "\n"
    assert fields(tmp_path, text, "llamafactory", **GPUS)["optimizer"] == "adamw"


def test_master_weights_in_bfloat16_are_read(tmp_path: Path) -> None:
    half = {"enabled": True, "bf16_master_weights_and_grads": True}
    alone = _with({}, bf16={**half, "bf16_optimizer_states": True})
    assert fields(tmp_path, alone, "trl", **GPUS)["master_weights"] == "bf16"
    beside = _with({"offload_optimizer": {"device": "cpu"}}, bf16=half)
    assert fields(tmp_path, beside, "trl", **GPUS)["master_weights"] == "bf16"


def test_older_names_of_offloading_are_taken(tmp_path: Path) -> None:
    assert fields(tmp_path, _with({"cpu_offload": True}), "trl", **GPUS)["parallel.offload"] == "optimizer"
    both = fields(tmp_path, _with({"cpu_offload": True, "cpu_offload_param": True}), "trl", **GPUS)
    assert both["parallel.offload"] is True
