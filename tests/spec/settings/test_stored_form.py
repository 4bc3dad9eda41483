"""What a config says of the form its checkpoint is in, which is what inference is taken to load."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from toolkit.spec import open_fields, scenario_from_flags
from toolkit.spec.settings.profiles import settled_fields
from toolkit.spec.settings.stored_form import quantized_from, stored_form

SMALL = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "vocab_size": 100,
}


@pytest.mark.parametrize(
    ("config", "form"),
    [
        ({"torch_dtype": "float32"}, "fp32"),
        ({"dtype": "bfloat16", "torch_dtype": "float16"}, "bf16"),
        ({}, None),
        ({"torch_dtype": "bfloat16", "quantization_config": {"quant_method": "awq", "bits": 4}}, "awq-int4"),
        ({"quantization_config": {"quant_method": "awq", "bits": 3}}, None),
        ({"quantization_config": {"quant_method": "gptq", "bits": 8}}, "gptq-int8"),
        ({"quantization_config": {"quant_method": "gptq", "bits": 3}}, None),
        ({"quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]}}, "fp8"),
        ({"quantization_config": {"quant_method": "mxfp4"}}, "mxfp4"),
        ({"quantization_config": {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}}, "nf4"),
        ({"quantization_config": {"load_in_8bit": True, "quant_method": "bitsandbytes"}}, "int8"),
        ({"torch_dtype": "bfloat16", "quantization_config": {"quant_method": "compressed-tensors"}}, None),
    ],
)
def test_a_config_says_how_its_checkpoint_is_stored(config: dict[str, Any], form: str | None) -> None:
    assert stored_form(config) == form


def test_a_dtype_that_the_config_does_not_say_may_be_known() -> None:
    assert stored_form({}, "float32") == "fp32"
    assert stored_form({"torch_dtype": "bfloat16"}, "float32") == "bf16"


def loaded(base: Path, model: str, **fields: str) -> tuple[object, ...]:
    """The forms of weights that inference with a model may be taken to have."""
    said = {"model": model, "method": "inference", **fields}
    scenario, findings = scenario_from_flags({name.replace("__", "."): text for name, text in said.items()}, base)
    assert scenario is not None, findings
    options = open_fields(scenario).get("weights")
    return options if isinstance(options, tuple) else (settled_fields(scenario)["weights"],)


def test_inference_takes_weights_as_they_are_stored(tmp_path: Path) -> None:
    assert loaded(tmp_path, "meta-llama/Llama-3.1-8B") == ("bf16",)
    assert loaded(tmp_path, "openai/gpt-oss-20b") == ("mxfp4", "bf16")
    assert loaded(tmp_path, "openai/gpt-oss-20b", stack__trainer="vllm") == ("mxfp4",)
    assert loaded(tmp_path, "FacebookAI/roberta-base", head="base") == ("bf16", "fp32")
    packed = {**SMALL, "torch_dtype": "float16", "quantization_config": {"quant_method": "awq", "bits": 4}}
    (tmp_path / "config.json").write_text(json.dumps(packed), "utf-8")
    assert loaded(tmp_path, "config.json") == ("awq-int4",)


def test_what_is_said_is_not_assumed() -> None:
    flags = {"model": "openai/gpt-oss-20b", "method": "inference", "weights": "bf16"}
    scenario, _ = scenario_from_flags(flags, Path())
    assert scenario is not None
    assert "weights" not in open_fields(scenario)
    assert "weights" not in settled_fields(scenario)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("Qwen/Qwen2.5-32B-Instruct-AWQ", [("Qwen/Qwen2.5-32B-Instruct", "awq-int4")]),
        ("Qwen/Qwen2.5-7B-Instruct-GPTQ-Int8", [("Qwen/Qwen2.5-7B-Instruct", "gptq-int8")]),
        ("somebody/Qwen2.5-7B-Instruct-GPTQ", [("Qwen/Qwen2.5-7B-Instruct", "gptq-int4")]),
        ("unsloth/Qwen3-8B-unsloth-bnb-4bit", [("unsloth/Qwen3-8B", "nf4")]),
        ("somebody/own-model-AWQ", []),
        ("Qwen/Qwen2.5-32B-Instruct", []),
    ],
)
def test_a_quantized_copy_is_known_by_its_name(name: str, found: list[tuple[str, str]]) -> None:
    assert list(quantized_from(name)) == found
