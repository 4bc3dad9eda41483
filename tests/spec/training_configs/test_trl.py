"""TRL's SFTConfig and its command line: what is said, and its documented defaults."""

import dataclasses
import json
from pathlib import Path

import pytest

from tests.spec.training_configs.reading import fields, mistakes, read, remarked

COMMAND_LINE = """\
model_name_or_path: Qwen/Qwen2.5-0.5B
dataset_name: somebody/some-data
learning_rate: 2.0e-5
"""

WHOLE = """\
model_name_or_path: meta-llama/Llama-3.1-8B
dtype: bfloat16
attn_implementation: flash_attention_2
use_peft: true
load_in_4bit: true
use_bnb_nested_quant: true
lora_r: 32
lora_alpha: 64
lora_dropout: 0.1
lora_target_modules: [q_proj, v_proj]
per_device_train_batch_size: 4
gradient_accumulation_steps: 2
gradient_checkpointing: yes
gradient_checkpointing_kwargs: {use_reentrant: True}
max_length: 2_048
optim: paged_adamw_8bit
bf16: True
packing: true
output_dir: out
"""


def test_defaults_are_those_of_trl(tmp_path: Path) -> None:
    assert fields(tmp_path, COMMAND_LINE, "trl") == {
        "model": "Qwen/Qwen2.5-0.5B",
        "method": "full",  # use_peft: False
        "weights": "fp32",  # ModelConfig.dtype: "float32"
        "batch_size": 8,
        "gradient_accumulation": 1,
        "gradient_checkpointing": True,
        "amp": True,  # bf16 unless fp16
        "sequence_length": 1024,
        "optimizer": "adamw",
        "optimizer_implementation": "fused",
        "attention": "sdpa",
        "stack.trainer": "trl",
        "stack.loss": "chunked",
    }


def test_everything_that_is_said_is_taken(tmp_path: Path) -> None:
    assert fields(tmp_path, WHOLE, "trl") == {
        "model": "meta-llama/Llama-3.1-8B",
        "method": "qlora",
        "weights": "nf4",
        "double_quant": True,
        "compute": "bf16",
        "batch_size": 4,
        "gradient_accumulation": 2,
        "gradient_checkpointing": "reentrant",
        "amp": True,
        "sequence_length": 2048,
        "packing": "padding-free",
        "samples_per_row": 1,
        "optimizer": "paged_adamw_8bit",
        "attention": "flash",
        "lora.rank": 32,
        "lora.alpha": 64,
        "lora.dropout": 0.1,
        "lora.targets": ("q_proj", "v_proj"),
        "stack.trainer": "trl",
        "stack.loss": "chunked",
    }


def test_products_of_4_bit_weights_have_the_dtype_of_the_others(tmp_path: Path) -> None:
    text = COMMAND_LINE + "use_peft: true\nload_in_4bit: true\n"
    assert fields(tmp_path, text, "trl")["compute"] == "fp32"


def test_adapters_have_trls_defaults_and_pefts_modules(tmp_path: Path) -> None:
    found = fields(tmp_path, COMMAND_LINE + "use_peft: true\ndtype: auto\n", "trl")
    assert (found["lora.rank"], found["lora.dropout"], found["lora.targets"]) == (16, 0.05, ("q_proj", "v_proj"))
    assert found["weights"] == "bf16", "auto is the dtype of the checkpoint"
    assert found["method"] == "lora"


def test_whole_modules_are_trained_beside_adapters(tmp_path: Path) -> None:
    text = COMMAND_LINE + "use_peft: true\nlora_modules_to_save: [embed_tokens, lm_head]\n"
    assert fields(tmp_path, text, "trl")["lora.modules_to_save"] == ("embed_tokens", "lm_head")


def test_an_sft_config_alone_does_not_say_model_or_method(tmp_path: Path) -> None:
    text = json.dumps({"per_device_train_batch_size": 2, "max_length": 512, "bf16": True}, indent=1)
    found = mistakes(tmp_path, text, "trl")
    assert [one.split(" ", 1)[1] for one in found] == [
        "S105 the trl configuration does not say the method",
        "S105 the trl configuration does not say the model",
    ]
    said = fields(tmp_path, text, "trl", model="Qwen/Qwen2.5-0.5B", method="full")
    assert (said["batch_size"], said["sequence_length"], said["model"]) == (2, 512, "Qwen/Qwen2.5-0.5B")


def test_old_names_are_known(tmp_path: Path) -> None:
    found = fields(tmp_path, COMMAND_LINE + "max_seq_length: 333\ntorch_dtype: bfloat16\n", "trl")
    assert (found["sequence_length"], found["weights"]) == (333, "bf16")


def test_no_length_leaves_it_open(tmp_path: Path) -> None:
    assert "sequence_length" not in fields(tmp_path, COMMAND_LINE + "max_length: null\n", "trl")


def test_a_version_on_the_command_line_decides_the_loss(tmp_path: Path) -> None:
    assert "stack.loss" not in fields(tmp_path, COMMAND_LINE, "trl", stack__trl="0.20")


def test_a_key_is_taken_for_a_slip_of_the_pen_where_it_is_much_like_one_that_is_read(tmp_path: Path) -> None:
    text = COMMAND_LINE + "max_lenght: 512\ndevice_map: auto\ntop_p: 0.9\ntemprature: 1\n"
    found = {one.message.partition(" ")[0]: one.repair for one in read(tmp_path, text, "trl").findings}
    assert found["max_lenght"] == "if max_length is meant, write that"
    assert (found["device_map"], found["top_p"]) == (None, None)


def test_a_loss_that_is_not_followed_is_not_to_be_deleted(tmp_path: Path) -> None:
    found = read(tmp_path, COMMAND_LINE + "loss_type: dft\n", "trl")
    assert [(one.message.partition(":")[0], one.repair) for one in found.findings] == [("loss_type", None)]


def test_what_is_not_followed_is_said(tmp_path: Path) -> None:
    text = COMMAND_LINE + "torch_compile: true\nneftune_noise_alpha: 5\nfp8: false\ngradient_chekpointing: true\n"
    assert remarked(tmp_path, text, "trl") == [
        "4:16 S115 torch_compile: what torch.compile fuses is not followed: the estimate is that of eager code",
        "5:22 S115 neftune_noise_alpha: the noise on embeddings is not counted",
        "7:1 S116 gradient_chekpointing is not read: nothing here knows whether it moves memory",
    ]
    stopped = mistakes(tmp_path, text.replace("fp8: false", "fp8: true"), "trl")
    assert len(stopped) == 1
    assert "6:6: S115 fp8" in stopped[0]


@pytest.mark.parametrize(
    ("name", "strategy", "offload"),
    [
        ("ds_z3_config.json", "zero3", None),
        ("zero2_cpuoffload.json", "zero2", "optimizer"),
        ("ds_z3_offload_config.json", "zero3", True),
        ("a/b/deepspeed_zero1.yaml", "zero1", None),
        ("ds_z0_config.json", "ddp", None),
    ],
)
def test_deepspeeds_stage_is_taken_from_the_name(
    tmp_path: Path, name: str, strategy: str, offload: bool | str | None
) -> None:
    found = fields(tmp_path, COMMAND_LINE + f"deepspeed: {name}\n", "trl", parallel__gpus="4")
    assert (found["parallel.strategy"], found.get("parallel.offload")) == (strategy, offload)
    assert found["parallel.gpus"] == 4


def test_a_deepspeed_config_written_out_is_read(tmp_path: Path) -> None:
    zero = "stage: 3, offload_param: {device: cpu}, offload_optimizer: {device: cpu}, sub_group_size: 1e9"
    text = COMMAND_LINE + f"deepspeed: {{zero_optimization: {{{zero}}}}}\n"
    found = fields(tmp_path, text, "trl", parallel__gpus="2")
    assert (found["parallel.strategy"], found["parallel.offload"]) == ("zero3", True)
    assert found["parallel.sub_group_size"] == 10**9
    alone = COMMAND_LINE + "deepspeed: {zero_optimization: {stage: 3, offload_param: {device: cpu}}}\n"
    assert "parameters alone in main memory" in mistakes(tmp_path, alone, "trl", parallel__gpus="2")[0]


def test_fsdp(tmp_path: Path) -> None:
    for text in ("fsdp: full_shard auto_wrap offload\n", "fsdp: [full_shard, offload]\n"):
        found = fields(tmp_path, COMMAND_LINE + text, "trl", parallel__gpus="2")
        assert (found["parallel.strategy"], found["parallel.offload"]) == ("fsdp2", True)
        before = fields(tmp_path, COMMAND_LINE + text, "trl", parallel__gpus="2", stack__transformers="4.57.1")
        assert (before["parallel.strategy"], before["parallel.offload"]) == ("fsdp", True)
    assert "no formula for hybrid_shard" in mistakes(tmp_path, COMMAND_LINE + "fsdp: hybrid_shard\n", "trl")[0]


def test_how_many_gpus_is_asked_for(tmp_path: Path) -> None:
    found = mistakes(tmp_path, COMMAND_LINE + "fsdp: full_shard\n", "trl")
    assert len(found) == 1
    assert "does not say on how many GPUs it runs" in found[0]
    unnamed = mistakes(tmp_path, COMMAND_LINE + "deepspeed: mine.json\n", "trl")
    assert "its name tells no ZeRO stage" in unnamed[0]
    alone = fields(tmp_path, COMMAND_LINE, "trl", parallel__gpus="2")
    assert alone["parallel.strategy"] == "ddp"


@pytest.mark.reference
def test_defaults_are_those_of_the_installed_trl() -> None:
    trl = pytest.importorskip("trl")
    config = {one.name: one.default for one in dataclasses.fields(trl.SFTConfig)}
    model = {one.name: one.default for one in dataclasses.fields(trl.ModelConfig)}
    assert config["per_device_train_batch_size"] == 8
    assert config["gradient_accumulation_steps"] == 1
    assert config["gradient_checkpointing"] is True
    assert config["max_length"] == 1024
    assert model["dtype"] == "float32"
    assert (model["lora_r"], model["lora_dropout"], model["use_peft"]) == (16, 0.05, False)
    assert model["bnb_4bit_quant_type"] == "nf4"
    assert model["use_bnb_nested_quant"] is False


def test_a_model_said_on_the_command_line_leaves_what_the_file_tells_of_the_method(tmp_path: Path) -> None:
    text = "model_name_or_path: somebody/a-model\nmax_seq_length: 2048\n"
    assert fields(tmp_path, text, "trl", model="Qwen/Qwen3-8B")["method"] == "full"
