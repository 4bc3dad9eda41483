"""Keys that move memory and are not followed: none of them is passed over in silence, whoever's they are."""

from pathlib import Path

import pytest

from tests.spec.training_configs.reading import fields, mistakes, remarked

SAID = {"model": "Qwen/Qwen2.5-0.5B", "method": "full", "sequence_length": "512"}
TRL = "model_name_or_path: Qwen/Qwen2.5-0.5B\nmax_length: 1000\nper_device_train_batch_size: 2\n"
AXOLOTL = "base_model: Qwen/Qwen2.5-0.5B\nmicro_batch_size: 1\nsequence_len: 2048\nattn_implementation: sdpa\n"
FACTORY = "model_name_or_path: Qwen/Qwen2.5-0.5B\nstage: sft\ndo_train: true\nfinetuning_type: lora\n"
TUNE = """\
model: {_component_: torchtune.models.qwen2_5.qwen2_5_0_5b}
tokenizer: {max_seq_len: 512}
optimizer: {_component_: torch.optim.AdamW, lr: 2e-5}
loss: {_component_: torchtune.modules.loss.LinearCrossEntropyLoss}
batch_size: 2
dtype: bf16
"""


@pytest.mark.parametrize(
    ("tool", "line", "key"),
    [
        ("transformers", "sharded_ddp: simple", "sharded_ddp"),
        ("transformers", "half_precision_backend: apex", "half_precision_backend"),
        ("axolotl", "overrides_of_model_config: {num_hidden_layers: 4}", "overrides_of_model_config"),
        ("axolotl", "model_config: {num_hidden_layers: 4}", "model_config"),
        ("axolotl", "plugins: [axolotl.integrations.grokfast.GrokfastPlugin]", "plugins"),
        ("axolotl", "plugins: [somebody.SomePlugin]", "plugins"),
        ("axolotl", "use_eaft: true", "use_eaft"),
        ("axolotl", "unsloth_cross_entropy_loss: true", "unsloth_cross_entropy_loss"),
        ("axolotl", "trainer_cls: my.Trainer", "trainer_cls"),
        ("axolotl", "relora_steps: 100", "relora_steps"),
        ("axolotl", "max_packed_sequence_len: 8192", "max_packed_sequence_len"),
        ("axolotl", "model_type: AutoModelForSequenceClassification", "model_type"),
        ("llamafactory", "add_tokens: <a>,<b>", "add_tokens"),
        ("llamafactory", "freeze_vision_tower: false", "freeze_vision_tower"),
        ("torchtune", "data_parallel_replicate_dim: 2", "data_parallel_replicate_dim"),
        ("torchtune", "data_parallel_shard_dim: 4", "data_parallel_shard_dim"),
        ("torchtune", "tensor_parallel_dim: 2", "tensor_parallel_dim"),
        ("torchtune", "enable_fp8_training: true", "enable_fp8_training"),
        ("torchtune", "ac_mode: selective", "ac_mode"),
    ],
)
def test_it_is_refused_by_name(tmp_path: Path, tool: str, line: str, key: str) -> None:
    (found,) = mistakes(tmp_path, _text(tool) + f"{line}\n", tool, **_said(tool))
    assert f"S115 {key}: " in found


@pytest.mark.parametrize(
    ("tool", "line", "key"),
    [
        ("transformers", "full_determinism: true", "full_determinism"),
        ("transformers", "use_cache: true", "use_cache"),
        ("transformers", "use_cpu: true", "use_cpu"),
        ("transformers", "torch_compile_mode: max-autotune", "torch_compile_mode"),
        ("transformers", "n_gpu: 2", "n_gpu"),
        ("transformers", "past_index: 0", "past_index"),
        ("transformers", "torch_empty_cache_steps: 4", "torch_empty_cache_steps"),
        (
            "transformers", "accelerator_config: {gradient_accumulation_kwargs: {sync_each_batch: true}}",
            "accelerator_config.gradient_accumulation_kwargs.sync_each_batch",
        ),
        ("trl", "router_aux_loss_coef: 0.001", "router_aux_loss_coef"),
        ("trl", "chat_template_path: somebody/a-model", "chat_template_path"),
        ("axolotl", "gc_steps: 4", "gc_steps"),
        ("axolotl", "device: cpu", "device"),
        ("axolotl", "model_config: {output_router_logits: true}", "model_config"),
        ("axolotl", "special_tokens: {additional_special_tokens: [<a>]}", "special_tokens.additional_special_tokens"),
        ("llamafactory", "pissa_init: true", "pissa_init"),
        ("torchtune", "device: cpu", "device"),
        ("torchtune", "run_val_every_n_steps: 10\nbatch_size_val: 64", "batch_size_val"),
    ],
)  # fmt: skip
def test_the_estimate_without_it_says_so(tmp_path: Path, tool: str, line: str, key: str) -> None:
    found = [one for one in remarked(tmp_path, _text(tool) + f"{line}\n", tool, **_said(tool)) if f" {key}: " in one]
    assert len(found) == 1
    assert "S115" in found[0]


def test_torchtunes_loss_in_other_parts_is_refused(tmp_path: Path) -> None:
    text = TUNE.replace("LinearCrossEntropyLoss", "LinearCrossEntropyLoss, num_output_chunks: {}")
    assert "S115 loss.num_output_chunks: " in mistakes(tmp_path, text.replace("{}", "1"), "torchtune")[0]
    assert fields(tmp_path, text.replace("{}", "8"), "torchtune")["stack.loss"] == "chunked"


def test_torchtunes_implementation_follows_its_optimizer(tmp_path: Path) -> None:
    for more, name in (("", "foreach"), (", fused: true", "fused"), (", foreach: false", "for-loop")):
        text = TUNE.replace("lr: 2e-5", f"lr: 2e-5{more}")
        assert fields(tmp_path, text, "torchtune")["optimizer_implementation"] == name
    assert "optimizer.amsgrad" in mistakes(tmp_path, TUNE.replace("lr: 2e-5", "amsgrad: true"), "torchtune")[0]


@pytest.mark.parametrize(
    ("tool", "lines", "length"),
    [  # 1000 = 7 * 128 + 104 = 0 * 4096 + 1000; 2048 = 20 * 100 + 48; 2000 = 31 * 64 + 16
        ("trl", "pad_to_multiple_of: 128\n", 1024),
        ("trl", "pad_to_multiple_of: 4096\n", 4096),
        ("trl", "pad_to_multiple_of: 100\n", 1000),
        ("trl", "pad_to_multiple_of: auto\n", 1000),
        ("axolotl", "pad_to_multiple_of: 100\n", 2100),
        ("axolotl", "pad_to_multiple_of: 100\npad_to_sequence_len: false\n", 2048),
        ("axolotl", "", 2048),
    ],
)
def test_padding_fills_rows_up(tmp_path: Path, tool: str, lines: str, length: int) -> None:
    assert fields(tmp_path, _text(tool) + lines, tool)["sequence_length"] == length


def test_axolotl_fills_rows_up_to_64_tokens(tmp_path: Path) -> None:
    assert fields(tmp_path, AXOLOTL.replace("2048", "2000"), "axolotl")["sequence_length"] == 2048
    packed = AXOLOTL.replace("2048", "2000") + "sample_packing: true\n"
    assert fields(tmp_path, packed, "axolotl")["sequence_length"] == 2000


@pytest.mark.parametrize(
    ("tool", "lines", "rows"),
    [
        ("trl", "eval_strategy: steps\n", 8),
        ("trl", "eval_strategy: steps\nper_device_eval_batch_size: 2\n", 2),
        ("trl", "eval_strategy: 'no'\nper_device_eval_batch_size: 2\n", None),
        ("trl", "per_device_eval_batch_size: 2\n", None),
        ("trl", "do_eval: true\n", 8),
        ("llamafactory", "eval_strategy: steps\nper_device_eval_batch_size: 1\n", 1),
        ("axolotl", "val_set_size: 0.05\neval_batch_size: 6\n", 6),
        ("axolotl", "val_set_size: 0.05\neval_strategy: 'no'\n", None),
        ("axolotl", "val_set_size: 0.0\neval_batch_size: 6\n", None),
        ("axolotl", "test_datasets: []\n", None),
        ("trl", "eval_strategy: false\n", None),
    ],
)
def test_what_is_evaluated_between_steps_is_a_validation(
    tmp_path: Path, tool: str, lines: str, rows: int | None
) -> None:
    assert fields(tmp_path, _text(tool) + lines, tool).get("validation.batch_size") == rows


def test_a_wrong_size_is_said_of_its_own_key(tmp_path: Path) -> None:
    text = TRL + "eval_strategy: steps\nper_device_eval_batch_size: 0\n"
    assert "per_device_eval_batch_size: 0 is not a positive integer" in mistakes(tmp_path, text, "trl")[0]


def test_what_compute_metrics_keeps_is_to_be_stated(tmp_path: Path) -> None:
    (found,) = remarked(tmp_path, TRL + "eval_strategy: steps\neval_accumulation_steps: 4\n", "trl")
    assert "eval_accumulation_steps: what compute_metrics keeps on the GPU is not counted" in found


def test_axolotl_evaluates_batches_as_large_as_those_of_training(tmp_path: Path) -> None:
    found = fields(tmp_path, AXOLOTL + "val_set_size: 0.05\n", "axolotl")
    assert found["validation.batch_size"] == found["batch_size"]


def test_larger_batches_of_an_evaluation_that_is_not_followed_are_said(tmp_path: Path) -> None:
    text = TRL + "eval_strategy: steps\nuse_liger_kernel: true\n"
    assert "validation.batch_size" not in fields(tmp_path, text, "trl")
    (found,) = remarked(tmp_path, text, "trl")
    assert "eval_strategy: evaluation takes 8 sequences at once and training 2, which is not followed" in found
    assert remarked(tmp_path, text + "per_device_eval_batch_size: 2\n", "trl") == []


def _text(tool: str) -> str:
    return {"trl": TRL, "axolotl": AXOLOTL, "llamafactory": FACTORY, "torchtune": TUNE}.get(tool, "bf16: true\n")


def _said(tool: str) -> dict[str, str]:
    return {"transformers": SAID, "torchtune": {"parallel__gpus": "8"}}.get(tool, {})
