"""Moments of fully_shard's backward that a trace of torch's own code has: the last unit's, and those of two layers."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from tests.memory.trace.agree import agree
from toolkit.spec.settings.setting import Parallel, Setting, Stack

pytestmark = pytest.mark.reference

FIELDS: dict[str, Any] = {
    "method": "full", "weights": "fp32", "compute": "bf16", "amp": True, "gradients": "fp32",
    "optimizer_states": "fp32", "optimizer": "adamw", "optimizer_implementation": "fused", "batch_size": 1,
    "sequence_length": 64, "attention": "sdpa",
}  # fmt: skip


@pytest.mark.parametrize("frees", [True, False])
def test_a_part_is_added_to_that_of_an_earlier_micro_batch(*, frees: bool) -> None:
    """In a loop of one's own: the root's part in float32 is beside the earlier one, its sum and its gradients."""
    parallel = Parallel(2, "fsdp2", reshard_after_forward=frees)
    setting = Setting(
        "meta-llama/Llama-3.1-8B", parallel=parallel, gradient_accumulation=2, stack=Stack("plain"), **FIELDS
    )
    agree(setting, 2, peak=0.001, elsewhere=0.01)


def test_before_the_first_of_two_layers_the_embedding_is_what_comes_next() -> None:
    setting = Setting(
        "facebook/opt-66b", parallel=Parallel(8, "fsdp2"), gradient_checkpointing="non-reentrant",
        stack=Stack("trl", "chunked", {"trl": "1.16.0"}), **FIELDS,
    )  # fmt: skip
    agree(setting, 2, peak=0.001, elsewhere=0.01)
