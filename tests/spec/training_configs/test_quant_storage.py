"""What 4-bit weights are packed in, by the keys of trainers; and adapters that axolotl shards in a way of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.spec.training_configs.reading import fields, mistakes

TRL = """\
model_name_or_path: Qwen/Qwen2.5-0.5B
use_peft: true
load_in_4bit: true
dtype: bfloat16
bnb_4bit_quant_storage: {storage}
{shared}
"""
SECOND = "fsdp: true\nfsdp_config: {version: 2}"
FIELD = "parallel.quant_storage"


@pytest.mark.parametrize(("said", "meant"), [("bfloat16", "bf16"), ("uint8", "uint8")])
def test_trl_says_it_of_bitsandbytes(tmp_path: Path, said: str, meant: str) -> None:
    text = TRL.format(storage=said, shared=SECOND)
    assert fields(tmp_path, text, "trl", parallel__gpus="2")[FIELD] == meant


def test_it_moves_nothing_where_nothing_is_shared_out(tmp_path: Path) -> None:
    assert FIELD not in fields(tmp_path, TRL.format(storage="bfloat16", shared=""), "trl")


LLAMA_FACTORY = """\
model_name_or_path: Qwen/Qwen2.5-0.5B
stage: sft
do_train: true
finetuning_type: lora
quantization_bit: 4
bf16: true
"""


def test_llama_factory_packs_in_the_compute_dtype(tmp_path: Path) -> None:
    shared = "fsdp: full_shard\nfsdp_config: {version: 2}\n"
    assert fields(tmp_path, LLAMA_FACTORY + shared, "llamafactory", parallel__gpus="2")[FIELD] == "bf16"
    assert FIELD not in fields(tmp_path, LLAMA_FACTORY, "llamafactory")


AXOLOTL = """\
base_model: Qwen/Qwen2.5-0.5B
adapter: lora
lora_r: 8
lora_target_linear: true
bf16: true
fsdp_version: {version}
fsdp_config: {{offload_params: false}}
"""


def test_axolotl_makes_each_matrix_a_unit_of_the_second_fsdp(tmp_path: Path) -> None:
    found = mistakes(tmp_path, AXOLOTL.format(version=2), "axolotl", parallel__gpus="2")
    assert any("a unit of its own" in one for one in found)
    assert not any("a unit of its own" in one for one in mistakes(tmp_path, AXOLOTL.format(version=1), "axolotl"))
