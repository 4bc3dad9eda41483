"""TrainingArguments of transformers, as JSON and as YAML."""

import dataclasses
import json
from pathlib import Path

import pytest

from tests.spec.training_configs.reading import fields, mistakes, read, remarked
from toolkit.spec.training_configs.irrelevant import irrelevant

ARGUMENTS = {
    "output_dir": "out", "per_device_train_batch_size": 2, "gradient_accumulation_steps": 16, "bf16": True,
    "gradient_checkpointing": True, "optim": "adamw_torch", "learning_rate": 1e-4, "deepspeed": None, "fsdp": [],
    "fsdp_config": {"min_num_params": 0}, "report_to": ["none"], "accelerator_config": {"split_batches": False},
}  # fmt: skip
SAID = {"model": "Qwen/Qwen2.5-0.5B", "method": "full"}


def test_json_is_read_and_its_defaults_are_the_librarys(tmp_path: Path) -> None:
    assert fields(tmp_path, json.dumps(ARGUMENTS), "transformers", **SAID) == {
        "model": "Qwen/Qwen2.5-0.5B",
        "method": "full",
        "batch_size": 2,
        "gradient_accumulation": 16,
        "gradient_checkpointing": True,
        "amp": True,
        "optimizer": "adamw",
        "optimizer_implementation": "foreach",
        "attention": "sdpa",
        "stack.trainer": "transformers",
        "stack.loss": "cross-entropy",
    }
    nothing = fields(tmp_path, "output_dir: out\n", "transformers", **SAID)
    assert nothing["batch_size"] == 8
    assert nothing["gradient_checkpointing"] is False
    assert nothing["amp"] is False
    assert (nothing["optimizer"], nothing["optimizer_implementation"]) == ("adamw", "fused")
    assert "weights" not in nothing, "a Trainer does not load the model"
    assert "sequence_length" not in nothing, "nor cut its data"


@pytest.mark.parametrize(
    ("optim", "expected"),
    [
        ("adamw_torch", "adamw"), ("adamw_torch_fused", "adamw"), ("adamw_bnb_8bit", "adamw_8bit"),
        ("adamw_8bit", "adamw_8bit"), ("paged_adamw_32bit", "paged_adamw"), ("paged_adamw_8bit", "paged_adamw_8bit"),
        ("adafactor", "adafactor"), ("sgd", "sgd"), ("lion_32bit", "lion"),
    ],
)  # fmt: skip
def test_optimizers(tmp_path: Path, optim: str, expected: str) -> None:
    assert fields(tmp_path, f"optim: {optim}\n", "transformers", **SAID)["optimizer"] == expected


def test_an_optimizer_that_is_not_followed_is_refused_unless_it_is_said_anew(tmp_path: Path) -> None:
    (found,) = mistakes(tmp_path, "optim: apollo_adamw_layerwise\n", "transformers", **SAID)
    assert "config.yaml:1:8: S115 optim: apollo_adamw_layerwise: steps inside the backward pass" in found
    said = fields(tmp_path, "optim: apollo_adamw_layerwise\n", "transformers", optimizer="sgd", **SAID)
    assert said["optimizer"] == "sgd"


@pytest.mark.parametrize(
    ("optim", "expected"),
    [
        ("lomo", "lomo"), ("adalomo", "adalomo"), ("grokadamw", "grokadamw"), ("ao_adamw_fp8", "adamw_torchao_fp8"),
        ("came_pytorch", "came"), ("adopt_adamw", "adopt"), ("stable_adamw", "stable_adamw"),
    ],
)  # fmt: skip
def test_optimizers_of_small_libraries(tmp_path: Path, optim: str, expected: str) -> None:
    assert fields(tmp_path, f"optim: {optim}\n", "transformers", **SAID)["optimizer"] == expected


def test_unknown_optimizers_are_named_beside_the_known(tmp_path: Path) -> None:
    (found,) = mistakes(tmp_path, "optim: adamw_torhc\n", "transformers", **SAID)
    assert "S107 optim: adamw_torhc is not an optimizer that is followed; known: adamw_torch, " in found


def test_half_precision(tmp_path: Path) -> None:
    found = fields(tmp_path, "fp16: true\n", "transformers", **SAID)
    assert (found["amp"], found["compute"]) == (True, "fp16")


def test_liger_fuses_the_loss(tmp_path: Path) -> None:
    found = fields(tmp_path, "use_liger_kernel: true\n", "transformers", **SAID)
    assert (found["stack.loss"], found["kernels.liger"]) == ("fused", "instance")
    assert "kernels.liger" not in fields(tmp_path, "use_liger_kernel: false\n", "transformers", **SAID)


def test_remarks_say_where_each_field_comes_from(tmp_path: Path) -> None:
    remarks = read(tmp_path, "per_device_train_batch_size: 2\n", "transformers", **SAID).remarks
    assert remarks["batch_size"] == "per_device_train_batch_size"
    assert remarks["gradient_accumulation"] == "the default of transformers"
    assert "model" not in remarks


def test_what_is_off_is_not_remarked(tmp_path: Path) -> None:
    off = {"include_num_input_tokens_seen": "no", "neftune_noise_alpha": None, "torch_compile": False, "fp8": "none",
           "activation_checkpointing_kwargs": None, "strange": None, "parallelism_config": {}}  # fmt: skip
    assert remarked(tmp_path, json.dumps(off), "transformers", **SAID) == []


@pytest.mark.reference
@pytest.mark.filterwarnings("ignore::FutureWarning")  # of TRL about transformers' newer names
@pytest.mark.parametrize(("library", "name"), [("transformers", "TrainingArguments"), ("trl", "SFTConfig")])
def test_what_the_library_itself_writes_is_read_without_a_remark(tmp_path: Path, library: str, name: str) -> None:
    arguments = getattr(pytest.importorskip(library), name)
    written = arguments(output_dir="out", per_device_train_batch_size=2, use_cpu=True, bf16=False).to_json_string()
    found = fields(tmp_path, written, library, **SAID)
    assert found["batch_size"] == 2
    whole = remarked(tmp_path, written.replace('"use_cpu": true', '"use_cpu": false'), library, **SAID)
    assert [one.partition("S115 ")[2].partition(":")[0] for one in whole] == ["loss_type"] * (library == "trl")


@pytest.mark.reference
def test_every_argument_of_the_installed_transformers_is_known() -> None:
    transformers = pytest.importorskip("transformers")
    arguments = {one.name: one.default for one in dataclasses.fields(transformers.TrainingArguments)}
    assert arguments["per_device_train_batch_size"] == 8
    assert arguments["gradient_accumulation_steps"] == 1
    source = "".join(
        file.read_text("utf-8") for file in (Path(read_module().__file__).parent).glob("*.py") if file.name != "read.py"
    )
    unknown = [name for name in arguments if name not in irrelevant("transformers") and f'"{name}"' not in source]
    assert unknown == []


def read_module() -> object:
    from toolkit.spec import training_configs

    return training_configs
