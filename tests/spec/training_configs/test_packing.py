"""Packing, padding-free batches and multipack as other tools' configurations say them."""

from pathlib import Path

import pytest

from tests.spec.training_configs.reading import fields, mistakes, remarked

TRL = "model_name_or_path: Qwen/Qwen2.5-0.5B\nattn_implementation: flash_attention_2\n"
AXOLOTL = "base_model: Qwen/Qwen2.5-0.5B\nmicro_batch_size: 4\nsequence_len: 2048\n"
LLAMA = """\
model_name_or_path: Qwen/Qwen2.5-0.5B
stage: sft
do_train: true
finetuning_type: full
bf16: true
per_device_train_batch_size: 1
cutoff_len: 4096
"""


@pytest.mark.parametrize(
    ("text", "packing", "counts"),
    [
        ("", None, False),
        ("packing: true\n", "padding-free", True),  # packing_strategy: "bfd"
        ("packing: true\npacking_strategy: bfd_split\n", "padding-free", True),
        ("packing: true\npacking_strategy: wrapped\n", None, False),
        ("padding_free: true\n", "padding-free", False),
        ("packing: false\npadding_free: false\n", None, False),
    ],
)
def test_trl_leaves_padding_out_of_what_it_packs_whole(
    tmp_path: Path, text: str, packing: str | None, *, counts: bool
) -> None:
    found = fields(tmp_path, TRL + text, "trl")
    assert found.get("packing") == packing
    assert ("samples_per_row" in found) is counts
    assert remarked(tmp_path, TRL + text, "trl") == []


def test_a_strategy_that_trl_does_not_have_is_a_mistake(tmp_path: Path) -> None:
    [found] = mistakes(tmp_path, f"{TRL}packing: true\npacking_strategy: bdf\n", "trl")
    assert "config.yaml:4:19: S107 packing_strategy: bdf is not a packing strategy" in found
    assert "bfd" in found


@pytest.mark.parametrize(
    ("text", "packing"),
    [
        ("sample_packing: true\nflash_attention: true\n", "padding-free"),
        ("sample_packing: true\nflash_attention: true\nmultipack_real_batches: true\n", "rows"),
        ("sample_packing: true\nsdp_attention: true\n", "rows"),
        ("batch_flattening: auto\nflash_attention: true\n", "padding-free"),
        ("batch_flattening: auto\nsdp_attention: true\n", None),
        ("flash_attention: true\n", None),
    ],
)
def test_axolotl_makes_one_row_for_flash_attention_and_its_batch_otherwise(
    tmp_path: Path, text: str, packing: str | None
) -> None:
    assert fields(tmp_path, AXOLOTL + text, "axolotl").get("packing") == packing


@pytest.mark.parametrize(
    ("text", "packing"),
    [
        ("neat_packing: true\nflash_attn: fa2\n", "padding-free"),
        ("packing: true\nflash_attn: fa2\n", "padding-free"),  # positions start anew, and the mask is all ones
        ("packing: true\nflash_attn: fa2\nper_device_train_batch_size: 2\n", None),
        ("packing: true\n", None),
        ("neat_packing: true\n", "rows"),
    ],
)
def test_llamafactory_keeps_samples_apart_by_positions_of_a_single_row_or_by_its_own_mask(
    tmp_path: Path, text: str, packing: str | None
) -> None:
    config = LLAMA.replace("per_device_train_batch_size: 1\n", "") if "per_device" in text else LLAMA
    assert fields(tmp_path, config + text, "llamafactory").get("packing") == packing
    told = remarked(tmp_path, config + text, "llamafactory")
    assert any("2 bytes for each pair" in one for one in told) is (packing == "rows")


def test_llamafactory_packs_one_row_at_a_time_for_flash_attention(tmp_path: Path) -> None:
    config = LLAMA.replace("per_device_train_batch_size: 1", "per_device_train_batch_size: 2")
    [found] = mistakes(tmp_path, f"{config}neat_packing: true\nflash_attn: fa2\n", "llamafactory")
    assert "config.yaml:6:30: S113 neat_packing takes one row at a time" in found


def test_torchtune_packs_rows_that_are_counted_as_full(tmp_path: Path) -> None:
    config = (
        "model: {_component_: torchtune.models.llama3_1.lora_llama3_1_8b, lora_rank: 8, lora_attn_modules: [q_proj]}\n"
        "tokenizer: {max_seq_len: 4096}\ndataset: {packed: true}\nbatch_size: 2\n"
        "optimizer: {_component_: torch.optim.AdamW, fused: true}\n"
    )
    [told] = [one for one in remarked(tmp_path, config, "torchtune") if "packed" in one]
    assert told.startswith("3:19 S115 dataset.packed: flex attention to packed samples is not followed")
    assert "packing" not in fields(tmp_path, config, "torchtune")
