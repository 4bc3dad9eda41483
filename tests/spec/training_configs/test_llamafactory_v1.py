"""Reading the configurations of LLaMA-Factory's v1 trainer."""

from pathlib import Path

import pytest

from tests.spec.training_configs.reading import fields, mistakes, read, remarked

SMALL = "model: Qwen/Qwen3-0.6B\nmodel_class: llm\nmicro_batch_size: 1\ncutoff_len: 1024\n"
ADAPTED = SMALL + "peft_config:\n  name: lora\n  r: 16\n  target_modules: all\n"


def test_all_parameters_are_float32_and_checkpoints_are_on(tmp_path: Path) -> None:
    found = fields(tmp_path, SMALL, "llamafactory")
    assert (found["method"], found["weights"], found["amp"]) == ("full", "fp32", False)
    assert (found["batch_size"], found["sequence_length"]) == (1, 1024)
    assert found["gradient_checkpointing"] == "non-reentrant"
    assert (found["optimizer"], found["optimizer_implementation"]) == ("adamw", "foreach")
    assert (found["stack.trainer"], found["stack.loss"], found["attention"]) == ("plain", "cross-entropy", "sdpa")


def test_its_keys_tell_the_tool(tmp_path: Path) -> None:
    assert read(tmp_path, SMALL, None).tool == "llamafactory"


def test_adapters_have_pefts_dtype_and_defaults_of_the_plugin(tmp_path: Path) -> None:
    found = fields(tmp_path, ADAPTED, "llamafactory")
    assert (found["method"], found["lora.rank"], found["lora.alpha"], found["lora.dropout"]) == ("lora", 16, 16, 0.05)
    assert (found["lora.targets"], found["lora.dtype"]) == ("all-linear", "fp32")
    packed = fields(tmp_path, ADAPTED + "quant_config:\n  name: bnb\n", "llamafactory")
    assert (packed["method"], packed["weights"], packed["double_quant"], packed["compute"]) == (
        "qlora", "nf4", True, "fp16",
    )  # fmt: skip


def test_whole_modules_are_trained_beside_adapters(tmp_path: Path) -> None:
    found = fields(tmp_path, ADAPTED + "  modules_to_save: [lm_head]\n", "llamafactory")
    assert found["lora.modules_to_save"] == ("lm_head",)


def test_fsdp2_mixes_dtypes_and_needs_a_number_of_gpus(tmp_path: Path) -> None:
    text = SMALL + "global_batch_size: 32\ndist_config:\n  name: fsdp2\n  offload_params: true\n"
    [asked] = mistakes(tmp_path, text, "llamafactory")
    assert "S105 fsdp2: the file does not say on how many GPUs it runs" in asked
    found = fields(tmp_path, text, "llamafactory", parallel__gpus="8")
    assert (found["parallel.strategy"], found["parallel.offload"], found["amp"]) == ("fsdp2", True, True)
    assert found["gradient_accumulation"] == 4
    plain = fields(tmp_path, text + "bf16: false\n", "llamafactory", parallel__gpus="8")
    assert plain["amp"] is False


def test_deepspeeds_stage_is_told_by_the_name_of_its_file(tmp_path: Path) -> None:
    text = SMALL + "dist_config:\n  name: deepspeed\n  config_file: examples/deepspeed/ds_z3_config.json\n"
    assert fields(tmp_path, text, "llamafactory", parallel__gpus="8")["parallel.strategy"] == "zero3"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("cp_size: 2\n", "context parallelism is not followed"),
        ("pref_loss: simpo\n", "losses on pairs are not followed"),
        ("peft_config:\n  name: freeze\n", "training of some layers (freeze) is not followed"),
        ("dist_config:\n  name: fsdpturbo\n", "fsdpturbo is not a way to share a run that is followed"),
        ("optim_config:\n  name: sgd\n", "sgd is not an optimizer that is followed; known: muon"),
    ],
)
def test_what_is_not_followed_is_refused_by_its_key(tmp_path: Path, line: str, said: str) -> None:
    [found] = mistakes(tmp_path, SMALL + line, "llamafactory")
    assert said in found


def test_what_the_estimate_goes_without_is_said(tmp_path: Path) -> None:
    text = SMALL.replace("size: 1", "size: 4") + "batching_strategy: padding_free\nkernel_config:\n  name: auto, fla\n"
    kept = " ".join(remarked(tmp_path, text, "llamafactory"))
    for said in ("one more float32 copy of all logits", "one sample each", "fla is not followed"):
        assert said in kept
    found = fields(tmp_path, SMALL + "kernel_config:\n  name: liger_kernel\n", "llamafactory")
    assert found["kernels.liger"] == "instance"
