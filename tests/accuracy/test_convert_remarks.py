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
