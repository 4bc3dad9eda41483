"""What people write of training loops of their own, and what of it is read, or keeps a run from an estimate."""

from __future__ import annotations

from typing import Any

import pytest

from tests.accuracy.build import lines_of, record

NEW = "somebodys_benchmark"


def one_of(**fields: Any) -> dict[str, Any]:
    [run] = lines_of(NEW, record(value_bytes=10**10, **{"task": "full", "seq_len": 512, **fields}))
    return run


def stack_of(**fields: Any) -> dict[str, Any]:
    found: dict[str, Any] = one_of(**fields)["scenario"].get("stack", {})
    return found


@pytest.mark.parametrize(
    ("notes", "result"),
    [
        ("own training loop: outputs = model(**batch), backward, step", "next"),
        ("own loop, loss = outputs.loss / 8", "next"),
        ("manual training loop: model(**batch).loss.backward()", "loss"),
        ("own PyTorch training loop, AdamW step, zero_grad", ["loss", "next"]),
    ],
)
def test_a_loop_of_ones_own_has_a_name_for_what_the_model_gives(notes: str, result: object) -> None:
    found = stack_of(notes=notes)
    assert (found["trainer"], found["result"]) == ("plain", result)


@pytest.mark.parametrize(
    ("notes", "said"),
    [
        ("own loop: outputs = model(**batch); outputs.loss.backward()", False),
        ("own training loop, AdamW step", [True, False]),
        ("own loop: outputs = model(**batch) within torch.autocast", True),
        ("own loop, no autocast", False),
        ("SFTTrainer of trl", None),
    ],
)
def test_a_loop_is_under_autocast_where_it_enters_it(notes: str, said: object) -> None:
    words = {"weight_dtype": "bf16", "compute_dtype": "bf16 autocast" if "torch.autocast" in notes else "bf16"}
    assert one_of(notes=notes, **words)["scenario"].get("amp") == said


def test_an_optimizer_by_its_class_is_that_of_a_loop_of_ones_own() -> None:
    assert stack_of(optimizer="torch.optim.AdamW")["trainer"] == "plain"
    assert "trainer" not in stack_of(optimizer="adamw_torch")
    assert stack_of(optimizer="torch.optim.AdamW", notes="axolotl train")["trainer"] == "transformers"


def test_a_loop_beside_a_trainer_that_is_named_is_the_trainers() -> None:
    assert stack_of(notes="TRL's SFTTrainer; evaluated by an own loop")["trainer"] == "trl"
    assert "result" not in stack_of(notes="llama-recipes, which has no own loop of ours")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"notes": "stepped by register_post_accumulate_grad_hook"}, True),
        ({"optimizer": "Adafactor", "notes": "updates within the backward pass"}, True),
        ({"notes": "optimizer_in_bwd=False"}, None),
    ],
)
def test_an_optimizer_that_steps_while_backward_runs_is_read(fields: dict[str, Any], said: bool | None) -> None:
    assert one_of(**fields)["scenario"].get("optimizer_in_backward") is said


def test_a_loss_that_is_cut_is_read() -> None:
    assert stack_of(notes="linear_cross_entropy of cut_cross_entropy in place of logits")["loss"] == "cut"


@pytest.mark.parametrize(
    ("notes", "beyond"),
    [
        ("embeddings and head frozen", {"trained": "embeddings and head frozen"}),
        ("AdamW, optimizer over model.model.layers.parameters()", {"trained": "optimizer over model.model.layers"}),
        ("embeddings not frozen, all layers trained", None),
        ("--compile thunder, one GPU", {"kernels": "--compile thunder"}),
        ("--compile eager", None),
        ("Llama cut to 4 layers", {"model": "cut to 4 layers"}),
        ("a from-scratch implementation in PyTorch", {"model": "from-scratch implementation"}),
        ("trained from scratch", None),
    ],
)
def test_what_is_trained_in_part_or_is_no_model_of_its_name_is_not_estimated(
    notes: str, beyond: dict[str, str] | None
) -> None:
    assert one_of(notes=notes).get("beyond") == beyond


def test_adapters_beside_a_base_that_is_frozen_are_no_part_of_it() -> None:
    lora = {"r": 8, "alpha": 16, "targets": ["q_proj"]}
    assert "beyond" not in one_of(task="lora", lora=lora, notes="all layers of the base frozen")


def test_attention_of_ones_own_is_not_left_open() -> None:
    assert one_of(attn_impl="own (scores, mask, softmax)")["beyond"] == {"attention": "own (scores, mask, softmax)"}
    assert one_of(attn_impl="own, by scaled_dot_product_attention")["scenario"]["attention"] == "sdpa"


@pytest.mark.parametrize(
    ("notes", "apart"),
    [
        ("read after one forward pass under torch.no_grad()", True),
        ("the peak counter is reset after training", True),
        ("validated by one forward pass, the peak over the whole run", False),
    ],
)
def test_a_figure_of_a_pass_without_gradients_is_no_peak_of_training(notes: str, apart: bool) -> None:
    [reading] = one_of(notes=notes)["readings"]
    assert ("apart" in reading) is apart


@pytest.mark.parametrize(
    ("kind", "strategy", "resharded"),
    [
        ("FSDP2 zero3 (reshard_after_forward=True)", "fsdp2", None),
        ("FSDP2 (reshard_after_forward=False)", "fsdp2", False),
        ("FSDP SHARD_GRAD_OP", "fsdp", False),
        ("FSDP ZeRO-2", "fsdp", False),
        ("FSDP FULL_SHARD", "fsdp", None),
        ("DeepSpeed ZeRO-2", "zero2", None),
    ],
)
def test_the_two_ways_of_fsdp_have_the_names_of_zero(kind: str, strategy: str, resharded: bool | None) -> None:
    parallel = one_of(parallelism={"gpus": 4, "kind": kind})["scenario"]["parallel"]
    assert (parallel["strategy"], parallel.get("reshard_after_forward")) == (strategy, resharded)


def test_the_head_and_its_labels_are_those_of_the_class_that_is_named() -> None:
    notes = "AutoModelForSequenceClassification, 3 labels, rows padded to 128"
    found = one_of(model="FacebookAI/xlm-roberta-base", notes=notes)["scenario"]
    assert (found["head"], found["labels"]) == ("sequence-classification", 3)
    both = "AutoModelForMaskedLM; AutoModelForSequenceClassification in evaluation"
    assert isinstance(one_of(model="FacebookAI/xlm-roberta-base", notes=both)["scenario"]["head"], list)


def test_a_method_of_peft_may_name_its_options_without_a_config() -> None:
    lora = {"peft_type": "IA3", "targets": ["key", "output.dense"], "feedforward_modules": ["output.dense"]}
    found = one_of(model="FacebookAI/xlm-roberta-base", task="ia3", lora=lora)
    assert found["scenario"]["peft"] == {
        "targets": ["key", "output.dense"],
        "feedforward_modules": ["output.dense"],
    }


def test_a_prompt_stays_one_where_what_is_generated_is_said() -> None:
    notes = "own loop: the prompt in one pass, then 200 tokens one by one"
    found = one_of(task="inference", gen_len=200, notes=notes)["scenario"]
    assert (found["sequence_length"], found["generated_length"]) == (512, 200)
    fed = one_of(task="inference", notes="own loop, all tokens one by one")["scenario"]
    assert (fed["sequence_length"], fed["generated_length"]) == (1, 511)


@pytest.mark.parametrize("named", ["all-linear", "all_linear", "all linear layers"])
def test_pefts_word_for_every_linear_layer_is_read(named: str) -> None:
    run = one_of(task="lora", lora={"r": 8, "alpha": 16, "targets": named})
    assert run["scenario"]["lora"]["targets"] == "all-linear"
    assert "beyond" not in run


@pytest.mark.parametrize(
    ("notes", "length"),
    [
        ("max length 512 (the row's length is not stated)", {"from": 1, "to": 512}),
        ("sequence lengths are not stated", {"from": 1, "to": 512}),
        ("rows of 512; the loader's row length is 512", 512),
    ],
)
def test_a_length_is_a_cap_where_those_of_rows_are_not_stated(notes: str, length: object) -> None:
    assert one_of(notes=notes)["scenario"]["sequence_length"] == length


@pytest.mark.parametrize(
    ("metric", "notes", "gpu"),
    [
        ("reserved_max", "torch in a WSL distro", None),
        ("reserved_max", "Windows with WDDM", None),
        ("reserved_max", "on Linux", "RTX 4090"),
        ("allocated_max", "torch in a WSL distro", "RTX 4090"),
        ("nvidia_smi", "torch in a WSL distro", "RTX 4090"),
    ],
)
def test_a_card_does_not_bound_what_torch_reserves_under_wsl(metric: str, notes: str, gpu: str | None) -> None:
    found = one_of(metric=metric, gpu="RTX 4090", notes=notes)["scenario"].get("gpu")
    assert found is None if gpu is None else gpu in found


@pytest.mark.parametrize(
    ("notes", "beyond"),
    [
        ("own loop; caches turned into tuples and back", "caches turned into tuples"),
        ("it turns the model's caches into tuples", "caches into tuples"),
        ("past_key_values.to_legacy_cache()", "to_legacy_cache"),
        ("own loop, keys and values in a DynamicCache", None),
    ],
)
def test_a_loop_that_keeps_caches_as_tuples_is_not_followed(notes: str, beyond: str | None) -> None:
    found = one_of(task="inference", optimizer=None, gen_len=20, notes=notes).get("beyond", {})
    assert found.get("kv_cache") == beyond


@pytest.mark.parametrize(
    ("notes", "result"),
    [
        ("train.py: zero_grad() at the start of each step; outputs keeps its name until the next pass", "next"),
        ("after optimizer.step(), outputs still has its name until the next", "next"),
        ("loss.backward() and optimizer.step()", ["loss", "next"]),
    ],
)
def test_lines_that_only_a_loop_has_say_that_there_is_one(notes: str, result: object) -> None:
    found = stack_of(notes=notes)
    assert (found["trainer"], found["result"]) == ("plain", result)


def test_lines_of_a_loop_beside_arguments_of_a_trainer_are_of_a_callback() -> None:
    assert "trainer" not in stack_of(notes="TrainingArguments(bf16=True); read in a callback after optimizer.step()")


def test_a_loop_says_that_no_keys_and_values_are_kept() -> None:
    assert one_of(notes="own training loop, loaded with use_cache=False")["scenario"]["use_cache"] is False
    assert "use_cache" not in one_of(notes="own training loop")["scenario"]
    assert "use_cache" not in one_of(notes="SFTTrainer of trl, use_cache=False")["scenario"]


@pytest.mark.parametrize(
    ("notes", "metric"),
    [
        ("reset before it: the peak of the forward pass alone", "allocated_over_forward"),
        ("max_memory_allocated over a step, whose forward pass is the peak", "allocated"),
        ("the maximum over the forward pass, not the backward", "allocated_over_forward"),
    ],
)
def test_a_peak_of_the_forward_pass_alone_is_no_peak_of_a_step(notes: str, metric: str) -> None:
    [reading] = one_of(metric="allocated_max", notes=notes)["readings"]
    assert reading["metric"] == metric
