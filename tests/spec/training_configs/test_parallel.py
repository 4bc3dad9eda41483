"""One GPU, and a file of DeepSpeed's beside the configuration, whichever tool the configuration is of."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.spec.training_configs.reading import fields, mistakes, read, remarked
from toolkit.finding import Severity
from toolkit.spec.training_configs.deepspeed_file import MAX_BYTES

TRL = "model_name_or_path: Qwen/Qwen2.5-0.5B\ndtype: bfloat16\nuse_peft: false\n"
CONFIGS: Mapping[str, str] = {
    "trl": TRL,
    "transformers": "model_name_or_path: Qwen/Qwen2.5-0.5B\nper_device_train_batch_size: 2\n",
    "axolotl": "base_model: Qwen/Qwen2.5-0.5B\nsequence_len: 512\nmicro_batch_size: 1\nbf16: true\n",
    "llamafactory": "model_name_or_path: Qwen/Qwen2.5-0.5B\nstage: sft\ndo_train: true\nfinetuning_type: full\n",
    "torchtune": "model:\n  _component_: torchtune.models.qwen2_5.qwen2_5_0_5b\nbatch_size: 2\n"
    "tokenizer:\n  max_seq_len: 512\noptimizer:\n  _component_: torch.optim.AdamW\n",
}
FLAGS = {"transformers": {"method": "full", "sequence_length": "512"}}
SETTINGS = {
    "zero_optimization": {
        "stage": 2,
        "offload_optimizer": {"device": "cpu"},
        "reduce_bucket_size": 5e8,
        "overlap_comm": True,
        "allgather_bucket_size": "auto",
    },
    "bf16": {"enabled": "auto"},
    "train_micro_batch_size_per_gpu": "auto",
}


@pytest.mark.parametrize("tool", CONFIGS)
def test_one_gpu_is_the_run_that_says_nothing_of_gpus(tmp_path: Path, tool: str) -> None:
    flags = FLAGS.get(tool, {})
    alone = fields(tmp_path, CONFIGS[tool], tool, **flags)
    told = fields(tmp_path, CONFIGS[tool], tool, parallel__gpus="1", **flags)
    assert told == {**alone, "parallel.gpus": 1}
    assert "parallel.strategy" in fields(tmp_path, CONFIGS[tool], tool, parallel__gpus="2", **flags)


@pytest.mark.parametrize(("tool", "name"), [("trl", "fsdp2"), ("transformers", "fsdp2"), ("llamafactory", "fsdp")])
def test_fsdp_on_one_gpu_shards_nothing_and_that_is_said(tmp_path: Path, tool: str, name: str) -> None:
    flags = {"parallel__gpus": "1", **FLAGS.get(tool, {})}
    text = CONFIGS[tool] + "fsdp: full_shard auto_wrap\n"
    found = fields(tmp_path, text, tool, **flags)
    assert found == fields(tmp_path, CONFIGS[tool], tool, **flags)
    line = text.count("\n")
    assert f"{line}:7 S115 fsdp: {name} shards nothing on one GPU: counted without it" in remarked(
        tmp_path, text, tool, **flags
    )
    offloads = text.replace("auto_wrap", "auto_wrap offload")
    assert any(f"offloading of {name} on one GPU" in one for one in mistakes(tmp_path, offloads, tool, **flags))


def test_deepspeed_on_one_gpu_does_what_it_does_there(tmp_path: Path) -> None:
    text = TRL + "deepspeed:\n  zero_optimization:\n    stage: 3\n"
    assert fields(tmp_path, text, "trl", parallel__gpus="1")["parallel.strategy"] == "zero3"
    assert any(
        "zero3 on one GPU shares nothing out" in one for one in remarked(tmp_path, text, "trl", parallel__gpus="1")
    )


@pytest.mark.parametrize("indent", [None, 2, "\t"])
@pytest.mark.parametrize("tool", ["trl", "llamafactory"])
def test_a_file_of_deepspeed_is_read_as_if_it_were_written_out(
    tmp_path: Path, tool: str, indent: int | str | None
) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "ds.json").write_text(json.dumps(SETTINGS, indent=indent), encoding="utf-8")
    named = fields(tmp_path, CONFIGS[tool] + "deepspeed: parts/ds.json\n", tool, parallel__gpus="4")
    inline = fields(tmp_path, CONFIGS[tool] + f"deepspeed: {json.dumps(SETTINGS)}\n", tool, parallel__gpus="4")
    assert named == inline
    assert (named["parallel.strategy"], named["parallel.offload"]) == ("zero2", "optimizer")
    assert (named["parallel.reduce_bucket_size"], named["parallel.overlap_comm"]) == (500_000_000, True)
    assert named["parallel.buckets"] == "auto"


def test_what_the_file_says_goes_before_what_its_name_says(tmp_path: Path) -> None:
    (tmp_path / "zero3.json").write_text('{"zero_optimization": {"stage": 1}}', encoding="utf-8")
    text = TRL + "deepspeed: zero3.json\n"
    assert fields(tmp_path, text, "trl", parallel__gpus="2")["parallel.strategy"] == "zero1"
    assert not any("file's name" in one for one in remarked(tmp_path, text, "trl", parallel__gpus="2"))
    (tmp_path / "zero3.json").unlink()
    assert fields(tmp_path, text, "trl", parallel__gpus="2")["parallel.strategy"] == "zero3"


def test_llamafactorys_newer_trainer_names_such_a_file_too(tmp_path: Path) -> None:
    (tmp_path / "ds.json").write_text(json.dumps(SETTINGS), encoding="utf-8")
    text = "model: Qwen/Qwen2.5-0.5B\ntrain_dataset: x.yaml\ndist_config:\n  name: deepspeed\n  config_file: ds.json\n"
    found = fields(tmp_path, text, "llamafactory", parallel__gpus="2", sequence_length="512")
    assert (found["parallel.strategy"], found["parallel.reduce_bucket_size"]) == ("zero2", 500_000_000)


@pytest.mark.parametrize(
    "written", ["../{name}/ds.json", "{folder}/ds.json", "..\\ds.json", "~/ds.json", "./in/../../ds.json"]
)
def test_no_file_elsewhere_is_looked_into(tmp_path: Path, written: str) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for place in (tmp_path, folder):
        (place / "ds.json").write_text(json.dumps(SETTINGS), encoding="utf-8")
    named = written.format(name=folder.name, folder=folder)
    (found,) = mistakes(folder, TRL + f"deepspeed: {named}\n", "trl", parallel__gpus="2")
    assert "does not lie below the configuration" in found


def test_a_link_that_leads_out_and_what_is_no_file_are_not_looked_into(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (tmp_path / "secret.json").write_text(json.dumps(SETTINGS), encoding="utf-8")
    (folder / "ds.json").symlink_to(tmp_path / "secret.json")
    os.mkfifo(folder / "pipe.json")
    (folder / "folder.json").mkdir()
    for name in ("ds.json", "pipe.json", "folder.json", "none.json", "x" * 5000 + ".json"):
        (found,) = mistakes(folder, TRL + f"deepspeed: {name}\n", "trl", parallel__gpus="2")
        assert "does not lie below the configuration" in found


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b'{"zero_optimization": {"stage": 2}, "a": "' + b"x" * MAX_BYTES + b'"}', "S112 larger than"),
        (b"[1, 2]", "S104"),
        (b"", "S104"),
        (b'{"zero_optimization": ', "ds.json:1:"),
        (b'{"a": &a [1], "zero_optimization": *a}', "S112"),
        (b"\xff\xfe", "S111"),
        (b'{"zero_optimization": {"stage": "many"}}', "ds.json:1:33: S104"),
    ],
)
def test_what_is_wrong_with_the_file_is_told_with_its_place(tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "ds.json").write_bytes(content)
    found = mistakes(tmp_path, TRL + "deepspeed: ds.json\n", "trl", parallel__gpus="2")
    assert any(told in one and one.startswith("ds.json") for one in found), found


def test_keys_of_the_file_that_nobody_reads_are_told(tmp_path: Path) -> None:
    (tmp_path / "ds.json").write_text(
        '{"zero_optimization": {"stage": 2}, "autotuning": {"on": true}}', encoding="utf-8"
    )
    found = read(tmp_path, TRL + "deepspeed: ds.json\n", "trl", parallel__gpus="2")
    (one,) = [one for one in found.findings if "autotuning" in one.message]
    assert (one.place.path, one.severity) == ("ds.json", Severity.NOTE)
