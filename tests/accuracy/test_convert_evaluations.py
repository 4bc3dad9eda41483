"""Passes without gradients in a record's own words: labels they get, evaluations in a peak, lengths that are limits."""

from __future__ import annotations

from typing import Any

import pytest

from tests.accuracy.build import one_of, said

NF4 = {"weight_dtype": "bitsandbytes nf4", "compute_dtype": "bf16"}
TRAINED = {"task": "lora", "weight_dtype": "bf16", "gradient_checkpointing": True, "batch_size": 4, "seq_len": 512}


def apart(**fields: Any) -> str | None:
    [reading] = one_of(**{**TRAINED, **fields})["readings"]
    reason: str | None = reading.get("apart")
    return reason


@pytest.mark.parametrize(
    ("notes", "evaluation"),
    [
        ("one forward pass with labels under torch.no_grad()", "cached"),
        ("a single forward pass, model(ids, labels=ids)", "cached"),
        ("one forward pass, model(ids, labels=ids, use_cache=False)", "uncached"),
        ("one forward pass without labels, the loss is of our own", "none"),
        ("one forward pass, perplexity of the text", ["none", "cached", "uncached"]),
        ("one forward pass", None), ("one forward pass, no loss", None),
    ],
)  # fmt: skip
def test_labels_of_a_pass_are_those_that_are_named(notes: str, evaluation: object) -> None:
    assert said(task="inference", batch_size=1, seq_len=100, notes=notes).get("evaluation") == evaluation


def test_labels_are_of_no_run_that_generates() -> None:
    assert "evaluation" not in said(task="inference", batch_size=1, seq_len=9, gen_len=9, notes="prompts with labels")


@pytest.mark.parametrize(
    ("notes", "rows"),
    [
        ("validation after each epoch (batches of 16 rows) is inside the peak", 16),
        ("per_device_eval_batch_size=32, evaluation each epoch", 32),
        ("SFTTrainer of trl, evaluation each epoch", 8), ("transformers' Trainer, evaluation every 50 steps", 8),
        ("evaluation (batch 4) each epoch", None), ("validation batches of 2 rows", None),
        ("SFTTrainer of trl, no evaluation", None), ("own loop, evaluation each epoch", None),
        ("SFTTrainer of trl, read before the evaluation each epoch", None), ("SFTTrainer of trl", None),
        ("evaluation is excluded, batches of 16 rows", None),
    ],
)  # fmt: skip
def test_an_evaluation_of_more_rows_than_a_step_has_is_a_validation(notes: str, rows: int | None) -> None:
    found = said(**TRAINED, notes=notes).get("validation", {})
    assert found.get("batch_size") == rows
    assert apart(notes=notes) is None


@pytest.mark.parametrize(
    ("notes", "tokens"),
    [
        ("padded to longest; the longest row has 512 tokens", {"from": 1, "to": 512}),
        ("lengths not stated", {"from": 1, "to": 512}), ("every row padded to max_length", None),
    ],
)  # fmt: skip
def test_rows_that_are_evaluated_may_be_shorter_unless_all_are_as_long(notes: str, tokens: object) -> None:
    found = said(**TRAINED, notes=f"{notes}; evaluation each epoch, batch 32")
    assert found["validation"].get("sequence_length") == tokens


def test_an_evaluation_that_is_not_followed_sets_a_peak_apart_where_logits_are_most_of_it() -> None:
    words = {"notes": "evaluation each epoch, batch 32", "parallelism": {"gpus": 2, "kind": "fsdp"}}
    assert "validation" not in said(**TRAINED, **words)
    assert apart(**words) == "the maximum over a run that evaluates batches of 32 rows, too"
    assert apart(**words, gradient_checkpointing=False) is None
    assert apart(**words, metric="allocated_at_load") is None


@pytest.mark.parametrize(
    ("notes", "upcast"),
    [
        ("prepare_model_for_kbit_training, get_peft_model", True), ("prepare_model_for_int8_training", True),
        ("without prepare_model_for_kbit_training", None), ("prepare_model_for_kbit_training is not called", None),
        ("get_peft_model", None),
    ],
)  # fmt: skip
def test_who_prepares_a_quantized_model_has_the_rest_in_float32(notes: str, upcast: object) -> None:
    assert said(task="qlora", seq_len=512, notes=notes, **NF4).get("upcast") == upcast
    assert "upcast" not in said(task="lora", weight_dtype="bf16", seq_len=512, notes=notes)
    assert "upcast" not in said(task="inference", seq_len=512, gen_len=1, notes=notes, **NF4)


PREPARED = "prepare_model_for_kbit_training, get_peft_model"


@pytest.mark.parametrize(
    ("task", "notes", "weights", "compute"),
    [
        ("lora", PREPARED, "fp32", "bf16"), ("lora", f"{PREPARED}, no autocast", "fp32", "fp32"),
        ("lora", "get_peft_model, no autocast", "bf16", "bf16"), ("full", PREPARED, "bf16", "bf16"),
    ],
)  # fmt: skip
def test_who_prepares_a_model_that_is_not_quantized_has_all_of_it_in_float32(
    task: str, notes: str, weights: str, compute: str
) -> None:
    scenario = said(task=task, weight_dtype="bf16", compute_dtype="bf16", seq_len=512, notes=notes)
    assert (scenario["weights"], scenario["compute"]) == (weights, compute)


CAP = {"from": 1, "to": 512}


@pytest.mark.parametrize(
    ("length", "notes", "tokens"),
    [
        (512, "max_length 512, no packing", CAP), (512, "packing=False", CAP), (512, "max_seq_length 512", CAP),
        (512, "longer rows are left out, lengths not stated", CAP), (None, "max_length 512", CAP),
        (512, "max_length 512, packed", 512), (512, "random tokens, max_length 512", 512),
        (274, "max_length 512, no packing", 274), (512, "512 tokens", 512),
        (274, "padded to longest; the longest row has 274 tokens", 274),
        (512, "padded to longest; the longest row has 274 tokens", CAP),
    ],
)  # fmt: skip
def test_the_largest_length_is_no_length_of_rows_unless_one_has_it(length: int, notes: str, tokens: object) -> None:
    assert said(task="full", seq_len=length, notes=notes)["sequence_length"] == tokens


def test_up_to_so_many_tokens_are_no_more_than_those() -> None:
    notes = "generate(), greedy, up to 256 new tokens"
    words = {"task": "inference", "batch_size": 1, "seq_len": 100}
    assert said(**words, gen_len=256, notes=notes)["generated_length"] == {"from": 1, "to": 256}
    assert said(**words, gen_len=200, notes=notes)["generated_length"] == 200
    assert said(**words, gen_len=256, notes="256 new tokens")["generated_length"] == 256


def test_a_pass_without_a_step_is_no_trainers_whatever_is_installed() -> None:
    words = {"task": "qlora", "seq_len": 100, "versions": {"trl": "1.9.2"}, **NF4}
    bare = said(**words, notes="one forward and backward pass; no optimizer step, no autocast")
    assert bare["stack"]["trainer"] == "plain"
    assert bare["stack"]["result"] == ["loss", "next"]
    assert bare["optimizer"] == "none"
    assert said(**words, notes="an epoch of steps")["stack"]["trainer"] == "trl"
    assert said(**words, notes="SFTTrainer of trl; no optimizer step is counted")["stack"]["trainer"] == "trl"


def test_logits_of_a_part_of_the_tokens_are_beyond_a_scenario() -> None:
    notes = "own loop, lm_head only at the positions of the answer's tokens"
    assert one_of(**TRAINED, notes=notes)["beyond"] == {"loss": "lm_head only at the positions"}


def test_what_is_read_right_after_from_pretrained_is_at_load() -> None:
    words = {"metric": "allocated_at_stage", "task": "inference", **NF4}
    [reading] = one_of(**words, notes="memory_allocated right after from_pretrained(...), before a pass")["readings"]
    assert reading["metric"] == "allocated_at_load"


@pytest.mark.parametrize("notes", ["Windows 11, native", "run under WSL2"])
def test_a_card_under_windows_bounds_nothing_that_torch_reserves(notes: str) -> None:
    words = {"task": "inference", "seq_len": 9, "gen_len": 9, "gpu": "Tesla T4", "metric": "reserved_max"}
    assert "gpu" not in said(**words, notes=notes)
    assert said(**words, notes="sliding windows 10 tokens apart")["gpu"] == "T4"


@pytest.mark.parametrize(
    ("notes", "beyond"),
    [
        ("an adapter, not merged", {"adapters": "inference with an adapter of its own"}),
        ("with the LoRA adapter, not merged", {"adapters": "with the lora adapter"}),
    ],
)
def test_an_adapter_of_inference_is_beyond_where_its_modules_are_not_stated(notes: str, beyond: dict[str, str]) -> None:
    run = one_of(task="inference", seq_len=9, gen_len=9, lora={"r": 16}, notes=notes)
    assert run["beyond"] == beyond
    assert "lora" not in run["scenario"]


@pytest.mark.parametrize(
    ("notes", "lora"),
    [
        ("the adapter is merged into the base model", None), ("merge_and_unload before generate()", None),
        ("an adapter, not merged", {"rank": 16, "targets": ["q_proj"]}),
        ("with the LoRA adapter, not merged", {"rank": 16, "targets": ["q_proj"]}),
    ],
)  # fmt: skip
def test_an_adapter_of_inference_is_followed_unless_it_is_merged(notes: str, lora: dict[str, Any] | None) -> None:
    run = one_of(task="inference", seq_len=9, gen_len=9, lora={"r": 16, "targets": ["q_proj"]}, notes=notes)
    assert run["scenario"].get("lora") == lora
    assert "beyond" not in run
