"""Remarks of records that nobody has read before: lengths that are caps, autocast, a trainer by its own name."""

from __future__ import annotations

from typing import Any

import pytest

from tests.accuracy.build import lines_of, one_of, record, said


@pytest.mark.parametrize(
    "notes",
    [
        "max_input_length 512 and max_output_length 512 are caps (the samples are much shorter)",
        "Alpaca2k with max_seq_length 512 as a cap",
        "each batch padded to its longest", "batch padded to longest",
    ],
)  # fmt: skip
def test_a_length_that_is_called_a_cap_is_open_below_it(notes: str) -> None:
    assert said(task="full", seq_len=512, notes=notes)["sequence_length"] == {"from": 1, "to": 512}


@pytest.mark.parametrize("notes", ["packed to 512", "captions of 512 tokens", "every sample padded to max_length 512"])
def test_a_length_that_is_filled_is_exact(notes: str) -> None:
    assert said(task="full", seq_len=512, notes=notes)["sequence_length"] == 512


def test_a_remark_says_that_there_is_no_autocast() -> None:
    assert (
        said(task="full", weight_dtype="fp16", compute_dtype="fp16", notes="loaded in half, no autocast")["amp"]
        is False
    )
    assert said(task="full", weight_dtype="bf16", compute_dtype="bf16", notes="without mixed precision")["amp"] is False
    assert said(task="full", weight_dtype="fp32", compute_dtype="bf16", notes="bf16=True; no autocast in evaluation")[
        "amp"
    ]
    assert "amp" not in said(task="full", weight_dtype="bf16", compute_dtype="bf16", notes="no autocastle")


def test_a_remark_says_that_passes_run_under_autocast() -> None:
    half = {"task": "full", "weight_dtype": "bf16", "compute_dtype": "bf16"}
    assert said(**half, notes="the forward pass runs under torch.autocast(bfloat16)")["amp"] is True
    assert said(**half, notes="the forward pass runs not under autocast")["amp"] is False


@pytest.mark.parametrize(
    ("notes", "trainer"),
    [
        ("axolotl train, the yaml is published", "transformers"), ("python -m llama_recipes.finetuning", "plain"),
        ("llama-cookbook with LoRA", "plain"), ("axolotl, which calls TRL's SFTTrainer", "trl"),
        ("trained like my-axolotl", ["transformers", "trl", "plain"]),
    ],
)  # fmt: skip
def test_software_that_wraps_a_trainer_or_has_a_loop_of_its_own_is_known_by_name(notes: str, trainer: object) -> None:
    assert said(task="full", notes=notes)["stack"]["trainer"] == trainer


def test_a_stage_is_read_from_a_sentence_where_it_names_one_alone() -> None:
    def metric(notes: str) -> list[str]:
        lines = lines_of("somebodys_benchmark", record(value_bytes=10**10, metric="allocated_at_stage", notes=notes))
        return [reading["metric"] for run in lines for reading in run["readings"]]

    assert metric("memory_allocated() after the forward pass with the logits") == ["allocated_after_forward"]
    assert metric("memory_allocated() after loading") == ["allocated_at_load"]
    assert metric("after backward and after the forward pass, which of the two is not said") == []
    assert metric("memory_allocated()") == []


def test_fused_experts_that_are_quantized_stay_beyond() -> None:
    def beyond(quantization: str, notes: str = "") -> Any:
        run = one_of(task="qlora", model="allenai/OLMoE-1B-7B-0924", quantization=quantization, notes=notes)
        return run.get("beyond", {}).get("quantization")

    assert beyond("bitsandbytes nf4, experts too (quantize_moe_experts: true)") is not None
    assert beyond("nf4", "axolotl with quantize_moe_experts") is not None
    assert beyond("nf4", "quantize_moe_experts: false") is None
    assert beyond("nf4", "64 experts, 8 of them for each token") is None


def test_the_longest_row_is_named_in_more_than_one_way() -> None:
    for words in ("the longest row has 105 tokens", "the longest of the rows has 105 tokens",
                  "longest among all their training samples: 105 tokens"):  # fmt: skip
        run = said(task="lora", seq_len=105, notes=f"SFTConfig(packing=False), max_length 1024; {words}")
        assert run["sequence_length"] == 105, words
    other = said(task="lora", seq_len=105, notes="packing=False; the longest of the rows has 90 tokens")
    assert other["sequence_length"] == {"from": 1, "to": 105}


def test_adapters_that_somebody_casts_have_the_dtype_of_the_cast() -> None:
    quantized = {"task": "qlora", "quantization": "bitsandbytes nf4"}
    cast = "the adapters' weights, which TRL makes bfloat16, are cast to float32 before training"
    assert said(**quantized, notes=cast)["lora"]["dtype"] == "fp32"
    assert said(**quantized, notes="LoRA parameters cast back to bfloat16")["lora"]["dtype"] == "bf16"
    assert "lora" not in said(**quantized, notes="adapters are not cast to float32")
    assert "lora" not in said(**quantized, notes="adapters r=16; the head is cast to float32 or cast to float16")
    assert "lora" not in said(task="full", notes=cast)


def test_dora_is_named_by_pefts_option() -> None:
    adapters = {"r": 16, "alpha": 32, "targets": ["q_proj"]}
    assert said(task="lora", lora={**adapters, "use_dora": True})["lora"]["dora"] is True
    assert said(task="lora", lora=adapters, notes="LoraConfig(use_dora=True)")["lora"]["dora"] is True
    for off in ({**adapters, "use_dora": False}, adapters):
        assert "dora" not in said(task="lora", lora=off, notes="use_dora=False")["lora"]


def test_the_rank_and_the_targets_of_another_method_may_stand_as_those_of_lora() -> None:
    run = said(task="adalora", lora={"r": 16, "alpha": 32, "targets": ["v_proj", "q_proj"], "dropout": 0.05})
    assert run["method"] == "adalora"
    assert run["peft"] == {"targets": ["q_proj", "v_proj"], "rank": 16, "dropout": 0.05}


@pytest.mark.parametrize(
    ("notes", "padding"),
    [
        ("rows padded to 512 tokens with an attention mask", True),
        ("rows padded to 512 tokens, no attention mask is passed", False),
        ("every row padded to 512 tokens, without a mask", False),
    ],
)
def test_rows_that_are_filled_up_without_a_mask_are_whole(notes: str, padding: bool) -> None:
    assert said(task="full", seq_len=512, notes=notes)["padding"] is padding


def test_kernels_of_auto_gptq_without_exllama_are_its_first() -> None:
    def kernels(notes: str) -> Any:
        run = one_of(task="inference", quantization="GPTQ 4 bit", seq_len=64, gen_len=8, notes=notes)
        return run["scenario"].get("kernels")

    said_so = "AutoGPTQForCausalLM.from_quantized(disable_exllama=True, disable_exllamav2=True)"
    assert kernels(said_so) == {"gptq": ["cuda-old", "unpacked"]}
    assert kernels("AutoGPTQForCausalLM.from_quantized(disable_exllama=True)") is None
    assert kernels("from_pretrained, neither exllama kernel is used") is None
