"""Files that lie beside a trainer's configuration: what each is told to be, and what to write instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.spec.training_configs.reading import mistakes
from toolkit.spec.training_configs import TOOLS
from toolkit.spec.training_configs.read import whose

ACCELERATE = "compute_environment: LOCAL_MACHINE\nnum_processes: 8\nmixed_precision: bf16\n"
LAUNCHED = "a configuration of `accelerate launch`"


@pytest.mark.parametrize("tool", [*TOOLS, None])
@pytest.mark.parametrize(
    ("text", "what", "instead"),
    [
        (f"{ACCELERATE}distributed_type: MULTI_GPU\n", LAUNCHED, "--parallel-gpus 8 --parallel-strategy ddp"),
        (f"{ACCELERATE}distributed_type: FSDP\n", LAUNCHED, "--parallel-gpus 8 --parallel-strategy fsdp)"),
        (
            f"{ACCELERATE}distributed_type: FSDP\nfsdp_config: {{fsdp_version: 2}}\n",
            LAUNCHED,
            "--parallel-gpus 8 --parallel-strategy fsdp2",
        ),
        (
            f"{ACCELERATE}distributed_type: DEEPSPEED\ndeepspeed_config: {{zero_stage: 3}}\n",
            LAUNCHED,
            "--parallel-gpus 8 --parallel-strategy zero3",
        ),
        (f"{ACCELERATE}distributed_type: TPU\n", LAUNCHED, "--parallel-gpus 8)"),
        ("zero_optimization: {stage: 2}\n", "a configuration of DeepSpeed", "--parallel-strategy zero2"),
        ("zero_optimization: {}\n", "a configuration of DeepSpeed", "zero1, zero2 or zero3"),
        ("peft_type: LORA\nbase_model_name_or_path: a/b\n", "peft's adapter_config.json", "--model a/b"),
        ("model_type: llama\nhidden_size: 64\n", "a model's config.json", "give it as --model"),
    ],
)
def test_another_file_is_told_by_its_keys_whatever_it_is_taken_for(
    tmp_path: Path, tool: str | None, text: str, what: str, instead: str
) -> None:
    (found,) = mistakes(tmp_path, text, tool)
    assert f"S105 this is {what}" in found
    taken = whose(tmp_path / "config.yaml", tmp_path)
    assert taken is not None
    assert instead in f"{taken.repair})"


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        ("base_model: a/b\nlora_target_modules: [q_proj]\n", "--from axolotl"),
        ("model_name_or_path: a/b\nfinetuning_type: lora\npacking: true\n", "--from llamafactory"),
        ("model_name_or_path: a/b\nlearning_rate: 1\n", "--from transformers or --from trl"),
    ],
)
def test_a_trainers_file_that_is_taken_for_a_scenario_asks_for_its_tool(tmp_path: Path, text: str, flags: str) -> None:
    (tmp_path / "config.yaml").write_text(text, "utf-8")
    found = whose(tmp_path / "config.yaml", tmp_path)
    assert found is not None
    assert found.repair == f"add {flags}"


@pytest.mark.parametrize("text", ["model: a/b\nmethod: full\npacking: rows\n", "modle: a/b\n", "- 1\n"])
def test_a_scenario_with_mistakes_is_no_tools(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.yaml").write_text(text, "utf-8")
    assert whose(tmp_path / "config.yaml", tmp_path) is None
