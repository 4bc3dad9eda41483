"""DeepSpeed's configuration as remarks quote it, by its own names."""

from __future__ import annotations

from typing import Any

from tests.accuracy.build import lines_of, record

ZERO_3 = {"gpus": 2, "kind": "DeepSpeed ZeRO-3"}


def run_of(notes: str, kind: dict[str, Any] | None = None) -> dict[str, Any]:
    fields = {"task": "full", "seq_len": 512, "optimizer": "AdamW", "parallelism": kind or ZERO_3}
    [run] = lines_of("somebodys_benchmark", record(value_bytes=10**10, notes=notes, **fields))
    return run


def parallel_of(notes: str, kind: dict[str, Any] | None = None) -> dict[str, Any]:
    found: dict[str, Any] = run_of(notes, kind)["scenario"]["parallel"]
    return {name: value for name, value in found.items() if name not in ("gpus", "strategy")}


def test_sizes_and_switches_are_read_by_the_names_that_deepspeed_gives_them() -> None:
    assert parallel_of(
        "reduce_bucket_size 5e7, overlap_comm true, \"contiguous_gradients\": false, "
        "stage3_param_persistence_threshold=0, stage3_prefetch_bucket_size: 50_000_000"
    ) == {
        "reduce_bucket_size": 50_000_000, "overlap_comm": True, "contiguous_gradients": False,
        "param_persistence_threshold": 0, "prefetch_bucket_size": 50_000_000,
    }  # fmt: skip


def test_what_a_stage_has_not_is_not_read_of_it() -> None:
    notes = "allgather_bucket_size 2e8, sub_group_size 1e9"
    assert parallel_of(notes) == {"sub_group_size": 10**9}
    assert parallel_of(notes, {"gpus": 2, "kind": "DeepSpeed ZeRO-2"}) == {"allgather_bucket_size": 2 * 10**8}
    assert parallel_of(notes, {"gpus": 2, "kind": "DDP"}) == {}


def test_what_a_loop_leaves_out_is_deepspeeds_default() -> None:
    assert parallel_of("own training loop; reduce_bucket_size 5e7")["buckets"] == "deepspeed"
    assert "buckets" not in parallel_of("own training loop")
    assert "buckets" not in parallel_of("Hugging Face Trainer; reduce_bucket_size 5e7")


def test_words_that_only_begin_like_a_number_are_none() -> None:
    assert parallel_of("reduce_bucket_size auto, overlap_comm truer, sub_group_size 5x") == {}


def test_the_adam_of_its_configuration_is_fused() -> None:
    assert run_of("AdamW of DeepSpeed's config")["scenario"]["optimizer_implementation"] == "fused"
    assert "optimizer_implementation" not in run_of("AdamW")["scenario"]


def test_master_weights_in_bfloat16_are_read() -> None:
    assert run_of("bf16_master_weights_and_grads true")["scenario"]["master_weights"] == "bf16"
    assert "master_weights" not in run_of("bf16_master_weights_and_grads false")["scenario"]


def test_master_weights_in_float16_stay_beyond() -> None:
    assert run_of("fp16_master_weights_and_grads true")["beyond"] == {"master_weights": "fp16_master_weights_and_grads"}
