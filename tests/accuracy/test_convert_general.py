"""Records of a source that nobody has read before: what of them becomes a scenario, and what is said of the rest."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.accuracy.build import PUBLISHED, lines_of, record
from toolkit.accuracy.convert.days import WINDOW
from toolkit.accuracy.convert.sources import RULES
from toolkit.accuracy.convert.write import Conversion, convert
from toolkit.accuracy.score import score
from toolkit.finding import Severity
from toolkit.spec.published import load_published

NEW = "somebodys_benchmark"


def one_of(**fields: Any) -> dict[str, Any]:
    """The run that one record of a source without a rule becomes."""
    [run] = lines_of(NEW, record(value_bytes=10**10, **fields))
    return run


def said(**fields: Any) -> dict[str, Any]:
    scenario: dict[str, Any] = one_of(**fields)["scenario"]
    return scenario


def converted(*records: dict[str, Any]) -> Conversion:
    return convert(NEW, [json.dumps(one) for one in records], "new.jsonl")


def test_the_source_has_no_rule_and_its_records_are_estimated_all_the_same(tmp_path: Path) -> None:
    assert NEW not in RULES
    one = record(
        model="mistralai/Mistral-7B-v0.1", task="full fine-tuning", weight_dtype="torch.bfloat16", value=72434657280,
        compute_dtype="bf16", batch_size=4, seq_len=4096, grad_accum=1, gradient_checkpointing=True,
        attn_impl="flash_attention_2", optimizer="adamw_torch", gpu="1x NVIDIA A100 80GB",
        versions={"torch": "2.4.0", "transformers": "4.45.2", "trl": "0.11.3"}, notes="packed to 4,096 tokens",
    )  # fmt: skip
    found = convert(NEW, [json.dumps(one)], "new.jsonl")
    assert found.sound
    assert found.findings == ()
    folder = tmp_path / NEW
    folder.mkdir()
    (folder / "source.yaml").write_text(found.header, encoding="utf-8")
    (folder / "readings.jsonl").write_text(found.readings, encoding="utf-8")
    source, findings = load_published(folder, tmp_path)
    assert source is not None, findings
    [scored] = score([source], PUBLISHED).scored
    low, high = scored.estimated
    assert low <= 72434657280 * 1.005  # fms-acceleration's own reading of these settings, in pure bf16
    assert high >= 72434657280 * 0.995
    assert high < 1.6 * 72434657280


@pytest.mark.parametrize(
    ("fields", "trainer"),
    [
        ({"versions": {"trl": "0.12.0"}}, "trl"),
        ({"versions": {"vllm": "0.11.0"}, "task": "inference"}, "vllm"),
        ({"task": "vLLM serving"}, "vllm"),
        ({"notes": "torchtune lora_finetune_single_device"}, "torchtune"),
        ({"notes": "Unsloth's notebook, trl's SFTTrainer"}, "unsloth"),
        ({"optimizer": "adamw_torch"}, None),
        ({"notes": "HF Trainer"}, None),
        ({}, ["transformers", "trl", "plain"]),
        ({"task": "full (masked LM)"}, ["transformers", "plain"]),
        ({"task": "inference"}, None),
        ({"task": "inference", "seq_len": 512, "gen_len": 0}, "plain"),
        ({"task": "inference", "notes": "own greedy loop, not generate(); in vLLM's environment"}, "plain"),
        ({"task": "inference", "notes": "transformers' model.generate(); vllm of the same table aside"}, None),
        ({"task": "inference", "notes": "vLLM 0.6.3, LLM.generate() in a custom benchmark loop"}, "vllm"),
        ({"notes": "torch.cuda.max_memory_allocated, as the trainer prints it"}, ["transformers", "trl", "plain"]),
    ],
)
def test_a_trainer_is_said_only_where_it_surely_follows(fields: dict[str, Any], trainer: object) -> None:
    assert said(**fields).get("stack", {}).get("trainer") == trainer


def test_an_encoder_has_another_head_than_a_causal_one() -> None:
    encoder = "distilbert/distilbert-base-uncased"
    assert said(model=encoder, task="full")["head"] == ["sequence-classification", "masked-lm"]
    assert "base" in said(model=encoder, task="inference")["head"]
    assert said(model=encoder, task="full (masked LM pretraining)")["head"] == "masked-lm"
    assert "head" not in said(task="full")


def test_software_that_is_not_followed_stays_beyond_and_a_kernels_name_is_no_engine() -> None:
    assert one_of(notes="engine Megatron-core 0.6.0")["beyond"] == {"trainer": "megatron-core"}
    kernel = one_of(
        task="inference", quantization="gptq 4-bit group 32 kernel exllama", notes="section: exllama kernel"
    )
    assert "beyond" not in kernel
    assert (kernel["scenario"]["kernels"], kernel["scenario"]["group_size"]) == ({"gptq": "exllama"}, 32)


def test_a_cap_is_no_length_and_a_packed_length_is() -> None:
    assert said(seq_len=768, notes="seq_len is a truncation cap")["sequence_length"] == {"from": 1, "to": 768}
    assert said(seq_len=768, notes="batches are padded to the longest")["sequence_length"] == {"from": 1, "to": 768}
    assert said(seq_len=768, notes="every sequence exactly 768")["sequence_length"] == 768
    filled = said(seq_len=768, notes="truncated to 768; finetune.py pads every sample to model_max_length")
    assert (filled["sequence_length"], filled["padding"]) == (768, True)
    flash = said(seq_len=768, notes="cut and padded to 768 tokens", attn_impl="flash_attention_2")
    assert flash["padding"] == [True, False]
    assert "padding" not in said(seq_len=768, notes="padded to the longest in the batch")
    mean = said(seq_len=None, notes="max_seq_len 4096; speeds give a / b = 287 tokens/sample")
    assert mean["sequence_length"] == {"from": 287, "to": 4096}
    assert "sequence_length" not in said(seq_len=None)


def test_what_is_not_said_is_open() -> None:
    bare = said(task="full", weight_dtype=None, batch_size=None)
    assert bare == {"model": "mistralai/Mistral-7B-v0.1", "method": "full",
                    "stack": {"trainer": ["transformers", "trl", "plain"]}}  # fmt: skip


def test_a_release_that_is_not_stated_is_one_of_the_half_year_after_the_others() -> None:
    """torch 2.1.2 is of 2023-12-14 and flash-attn 2.5.6 of 2024-03-02; the index has transformers 4.38.2 of 1 March."""
    stack = said(task="inference", versions={"torch": "2.1.2+cu118", "flash-attn": "2.5.6"})["stack"]
    assert WINDOW.days == 180
    assert stack["transformers"] == ["4.38.2", "4.44.2"]
    trained = said(task="lora", quantization="nf4", versions={"torch": "2.1.2", "flash-attn": "2.5.6"})["stack"]
    assert (trained["transformers"], trained["bitsandbytes"]) == (["4.38.2", "4.44.2"], ["0.42.0", "0.43.3"])
    assert "transformers" not in said(task="inference", versions={}).get("stack", {})
    assert (
        said(task="inference", versions={"torch": "2.1.2", "transformers": "4.40.0"})["stack"]["transformers"]
        == "4.40.0"
    )


def test_the_day_of_a_commit_is_the_last_that_its_releases_have() -> None:
    """The index has transformers 4.27.4 of 2023-03-29 and 4.28.0 of 04-13, 4.33.2 of 09-15 and 4.33.3 of 09-27.

    torch 2.1.2 and transformers 4.36.1 are of 2023-12-14, 4.38.2 is of 2024-03-01 and 4.39.0 of 03-21.
    """
    alone = said(task="inference", notes="commit of 2023-09-25, release not stated")["stack"]
    assert alone["transformers"] == ["4.27.4", "4.33.2"]
    torch = {"torch": "2.1.2"}
    assert said(task="inference", versions=torch, notes="run of 2024-03-10")["stack"]["transformers"] == [
        "4.36.1", "4.38.2"
    ]  # fmt: skip
    assert said(task="inference", versions=torch)["stack"]["transformers"] != ["4.36.1", "4.38.2"]
    assert "transformers" not in said(task="inference", notes="commit of 2023-13-45").get("stack", {})
    two = "commit of 2023-06-28, results of 2024-06-28"
    assert "transformers" not in said(task="inference", notes=two).get("stack", {})


def test_a_release_that_is_not_stated_lies_within_the_bounds_that_are() -> None:
    """The index has TRL 1.10.0 of 2026-08-13, 1.11.0 of 08-26 and 1.14.2 of 10-06, peft 0.20.0 of 2026-07-28."""
    trl = "TRL SFTTrainer; run of 2026-10-07"
    stack = said(task="lora", versions={"peft": "0.20.0"}, notes=trl)["stack"]
    assert stack["trl"] == [_trl_of("2026-07-28"), "1.14.2"]
    stack = said(task="lora", versions={"peft": "0.20.0", "trl": ">=1.10,<2"}, notes=trl)["stack"]
    assert stack["trl"] == ["1.10.0", "1.14.2"]
    stack = said(task="lora", versions={"peft": "0.20.0", "trl": ">=1.10, <1.12"}, notes=trl)["stack"]
    assert stack["trl"] == ["1.10.0", "1.11.0"]
    assert "trl" not in said(task="lora", versions={"peft": "0.20.0"}, notes="transformers Trainer")["stack"]
    unread = said(task="lora", versions={"peft": "0.20.0", "trl": "about 1.10, or so"}, notes=trl)["stack"]
    assert unread["trl"] == [_trl_of("2026-07-28"), "1.14.2"]


def _trl_of(day: str) -> str:
    """The newest release of TRL on a day, by the table of releases read here by itself."""
    table = json.loads(files("toolkit.facts").joinpath("data/software/trl.json").read_text(encoding="utf-8"))
    there = [version for version, one in table["releases"].items() if one["date"] <= day and version.count(".") == 2]
    return max(there, key=lambda version: [int(part) for part in version.split(".") if part.isdigit()])


def test_a_run_of_a_month_may_be_much_younger_than_what_it_states() -> None:
    """transformers 4.43.3 is of 2024-07-26, bitsandbytes 0.43.3 of 07-30; 4.57.1 of 2025-10-14 is the last of October.

    Between a run without releases of April 2026 and half a year before lie 4.57.1 and 5.7.0 of 2026-04-28.
    """
    old = {"bitsandbytes": "0.43.3"}
    notes = "releases are not stated (runs of October 2025)"
    assert said(task="inference", versions=old, notes=notes)["stack"]["transformers"] == ["4.43.3", "4.57.1"]
    assert said(task="inference", versions=old, notes="commit of 2025-10-31")["stack"]["transformers"] != [
        "4.43.3", "4.57.1"
    ]  # fmt: skip
    alone = said(task="inference", notes="ran in April 2026")["stack"]
    assert alone["transformers"] == ["4.57.1", "5.7.0"]
    assert "transformers" not in said(task="inference", notes="runs of April 2026, runs of May 2026").get("stack", {})


def test_options_of_a_server_are_read_from_its_command() -> None:
    notes = (
        "--gpu-memory-utilization=0.9 --max-model-len 16000 --max-num-seqs=64 --enforce-eager --tensor-parallel-size 2"
    )
    run = said(task="vLLM serving", seq_len=None, parallelism={"gpus": 2, "kind": None}, notes=notes)
    assert run["engine"] == {
        "gpu_memory_utilization": 0.9, "max_model_len": 16000, "max_num_seqs": 64, "enforce_eager": True
    }  # fmt: skip
    assert run["parallel"] == {"gpus": 2, "strategy": "tensor"}
    unfollowed = one_of(task="vLLM serving", notes="--kv-cache-memory-bytes 10G")
    assert unfollowed["beyond"] == {"engine.kv_cache_memory_bytes": "10g"}
    assert said(task="vLLM serving", seq_len=4096)["engine"] == {"max_model_len": 4096}


def test_autocast_follows_from_dtypes_that_differ() -> None:
    assert said(weight_dtype="fp32", compute_dtype="bf16")["amp"] is True
    assert said(weight_dtype="fp32", compute_dtype="fp32")["amp"] is False
    assert "amp" not in said(weight_dtype="bf16", compute_dtype="bf16")
    assert said(weight_dtype="bf16", compute_dtype="bf16", notes="torchtune recipe")["amp"] is False
    assert "amp" not in said(task="inference", weight_dtype="fp32", compute_dtype="bf16")


def test_adapters_beside_four_bit_weights_are_qlora() -> None:
    lora = {"r": 8, "alpha": "16.0", "targets": "q_proj v_proj", "dropout": "0.1"}
    run = said(task="LoRA", quantization="bitsandbytes nf4, no double quant", lora=lora)
    assert (run["method"], run["weights"], run["double_quant"]) == ("qlora", "nf4", False)
    assert run["lora"] == {"rank": 8, "alpha": 16, "targets": ["q_proj", "v_proj"], "dropout": 0.1}


def test_the_rest_of_an_eight_bit_model_without_a_dtype_is_in_float16() -> None:
    """transformers 4, quantizer_bnb_8bit.py, update_dtype: "We force the `dtype` to be float16"."""
    loaded = {"task": "inference", "quantization": "bitsandbytes int8", "notes": "device_map auto, no dtype given"}
    assert said(**loaded)["compute"] == "fp16"
    assert "compute" not in said(**{**loaded, "notes": "device_map auto"})
    assert "compute" not in said(**loaded, versions={"transformers": "5.1.0"})


def test_a_quantization_that_is_none_of_weights_stays_beyond() -> None:
    assert one_of(weight_dtype="bf16", quantization="float8 linear")["beyond"] == {"quantization": "float8 linear"}
    assert one_of(task="inference", weight_dtype="bf16", quantization="int8 KV cache")["beyond"] == {
        "kv_cache": "int8 KV cache"
    }


def test_several_gpus_that_share_in_no_stated_way_stay_beyond() -> None:
    assert "not how they share" in one_of(parallelism={"gpus": 4, "kind": None})["beyond"]["parallel"]
    assert "beyond" not in one_of(parallelism=None)
    assert "parallel" not in said(parallelism=None)


def test_readings_say_over_which_gpus_they_are_and_why_they_are_no_peak() -> None:
    spread = {"gpus": 2, "kind": "device_map"}
    [total] = one_of(task="inference", parallelism=spread, notes="sum over GPUs if more than one")["readings"]
    assert total["over"] == "sum"
    [mean] = one_of(task="inference", parallelism=spread, unit_note="mean over the devices, MiB")["readings"]
    assert mean["over"] == "mean"
    [alone] = one_of(task="inference", notes="sum over GPUs if more than one")["readings"]
    assert "over" not in alone
    [evaluated] = one_of(notes="over the whole run: training AND validation/test generation")["readings"]
    assert "evaluation" in evaluated["apart"]


def test_segments_that_grow_are_read_where_remarks_turn_them_on() -> None:
    on = "run.sh sets PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True"
    assert said(task="lora", notes=on)["expandable_segments"] is True
    assert "expandable_segments" not in said(task="lora", notes=on.replace("True", "False"))
    assert "expandable_segments" not in said(task="lora", notes="expandable_segments is not set")


def test_records_that_say_the_same_and_read_otherwise_are_set_apart() -> None:
    shared: dict[str, Any] = {"task": "inference", "weight_dtype": "fp16", "batch_size": 1, "seq_len": 512}
    far = [record(**shared, id=str(n), config_id=f"c{n}", value_bytes=n * 10**10) for n in (1, 2)]
    near = [record(**shared, id=str(n), config_id=f"c{n}", value_bytes=10**10 + n) for n in (1, 2)]
    found = converted(*far)
    assert [run["readings"][0].get("apart", "")[:22] for run in map(json.loads, found.readings.splitlines())] == [
        "records that say the s"
    ] * 2
    assert any("contradict" in one.message for one in found.findings)
    assert "apart" not in converted(*near).readings


def test_records_of_rows_whose_lengths_are_open_do_not_contradict() -> None:
    rows = {"task": "full", "weight_dtype": "bf16", "batch_size": 1, "seq_len": 512, "notes": "max_length 512"}
    far = [record(**rows, id=str(n), config_id=f"c{n}", value_bytes=n * 10**10) for n in (1, 2)]
    assert "apart" not in converted(*far).readings
    fixed = [one | {"notes": "padded to 512"} for one in far]
    assert "say the same" in converted(*fixed).readings


@pytest.mark.parametrize("words", ["Trainer's default", "SFTTrainer default"])
def test_an_optimizer_that_nobody_chose_is_the_trainers(words: str) -> None:
    run = one_of(task="full", weight_dtype="bf16", seq_len=512, optimizer=words, notes="transformers Trainer")
    assert "optimizer" not in run["scenario"]
    assert "beyond" not in run


def test_what_was_not_read_is_said_with_its_line_once() -> None:
    shared = {"task": "inference", "gpu": "TPU v4"}
    odd = {**record(id="c", value_bytes=None, metric="fits", value=True, unit=None), "colour": 1}
    found = converted(*(record(**shared, id=name, value_bytes=5) for name in "ab"), odd)
    assert found.sound
    assert [(one.place.line, one.code, one.severity, one.message) for one in found.findings] == [
        (1, "S107", Severity.WARNING, "gpu: TPU v4 is not known; left open (and in 1 more line)"),
        (3, "S103", Severity.WARNING, "colour is no field of a record, and is passed over"),
        (3, "S107", Severity.WARNING, "metric fits is not known; this reading is left out"),
    ]
    assert len(json.loads(found.readings)["readings"]) == 2


def test_what_contradicts_stays_beyond() -> None:
    assert "cannot train" in one_of(task="full", weight_dtype="FP8")["beyond"]["contradiction"]
    assert one_of(task="a thing nobody does")["beyond"] == {"method": "a thing nobody does"}


def test_a_record_may_state_fields_that_no_common_one_is_for() -> None:
    run = one_of(
        fields={"stack.trainer": "litgpt", "nonsense": 1}, beyond={"lengths": "shorter"}, apart="printed twice"
    )
    assert run["scenario"]["stack"]["trainer"] == "litgpt"
    assert run["beyond"] == {"lengths": "shorter", "nonsense": "1"}
    assert run["readings"][0]["apart"] == "printed twice"


def test_the_header_says_what_records_give_and_how_they_were_converted() -> None:
    one = record(value_bytes=5, unit_note="max_memory_allocated / 1024^3", model="Llama 3.1 8B")
    one["source"]["url"] = "https://github.com/a/b/blob/c3a069c/refs/a.csv"
    header = yaml.safe_load(converted(one).header)
    assert header["repository"] == "a/b (https://github.com/a/b)"
    assert header["metric"].startswith("allocated: the peak of live tensors")
    assert "general rule" in header["caveats"][0]
    assert header["caveats"][1] == "Taken: Llama 3.1 8B for meta-llama/Llama-3.1-8B."
    assert "max_memory_allocated" in header["unit"]
