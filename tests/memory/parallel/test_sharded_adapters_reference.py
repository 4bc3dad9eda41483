"""Estimates of adapters and packed weights under fully_shard against traces of the libraries' code."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("accelerate")
pytest.importorskip("peft")

from tests.memory.parallel.test_traced_spread import MODEL, agree
from toolkit.spec.settings.setting import Lora, Parallel, Setting, Stack

pytestmark = pytest.mark.reference

LLAMA, TIED, BIASED = "meta-llama/Llama-3.1-8B", "Qwen/Qwen2.5-0.5B", "microsoft/phi-2"
TRL = Stack("trl", loss="chunked")
NONE = {"gradient_checkpointing": "false"}
LORA = Setting(
    MODEL,
    "lora",
    "bf16",
    optimizer_implementation="fused",
    batch_size=1,
    sequence_length=512,
    gradient_checkpointing="non-reentrant",
    gpu="A100 80GB",
    lora=Lora(16),
    gradients="fp32",
    optimizer_states="fp32",
    stack=Stack("transformers"),
    parallel=Parallel(4, "fsdp2"),
)
MIXED = replace(LORA, amp=True)
WIDE = replace(MIXED, lora=Lora(256))
QLORA = replace(
    MIXED, method="qlora", weights="nf4", compute="bf16", parallel=Parallel(4, "fsdp2", quant_storage="bf16")
)
KEPT = {"parallel": Parallel(4, "fsdp2", reshard_after_forward=False)}
OF_TRL = {"stack": TRL, "gradients": "bf16", "optimizer_states": "bf16"}


def in_bytes(gpus: int = 4, **fields: bool) -> dict[str, Parallel]:
    return {"parallel": Parallel(gpus, "fsdp2", quant_storage="uint8", **fields)}


ADAPTERS = {
    "in two dtypes": LORA,
    "mixed precision": MIXED,
    "without checkpoints": replace(MIXED, **NONE),
    "a short row without checkpoints": replace(LORA, sequence_length=64, **NONE),
    "reentrant": replace(LORA, gradient_checkpointing="reentrant"),
    "kept": replace(LORA, **KEPT, **NONE),
    "rows that do not divide": replace(LORA, lora=Lora(8), parallel=Parallel(3, "fsdp2")),
    "fewer rows than GPUs": replace(LORA, lora=Lora(8), parallel=Parallel(16, "fsdp2")),
    "tied": replace(MIXED, model=TIED),
    "biases": replace(LORA, model=BIASED),
    "eight billion": replace(MIXED, model=LLAMA, parallel=Parallel(8, "fsdp2"), sequence_length=2048),
    "float32 weights": replace(MIXED, weights="fp32", compute="bf16"),
    "micro-batches": replace(WIDE, gradient_accumulation=4),
    "micro-batches in two dtypes": replace(
        LORA, lora=Lora(512), gradient_accumulation=3, sequence_length=128, parallel=Parallel(4, "fsdp2")
    ),
    "trl": replace(MIXED, stack=TRL),
    "trl without checkpoints": replace(LORA, stack=TRL, **NONE),
    "trl, tied": replace(MIXED, stack=TRL, model=TIED),
    "trl, micro-batches": replace(WIDE, stack=TRL, gradient_accumulation=3),
}
PACKED = {
    "in bfloat16": QLORA,
    "doubly quantized": replace(QLORA, double_quant=True, **NONE),
    "rows that do not divide": replace(QLORA, parallel=Parallel(3, "fsdp2", quant_storage="bf16")),
    "without mixed precision": replace(QLORA, amp=False, parallel=Parallel(4, "fsdp2", quant_storage="fp32")),
    "in bytes": replace(QLORA, **in_bytes()),
    "in bytes, kept": replace(QLORA, double_quant=True, **in_bytes(reshard_after_forward=False), **NONE),
    "in bytes, biases": replace(QLORA, model=BIASED, **in_bytes()),
    "prepared": replace(QLORA, upcast=True),
    "prepared without mixed precision": replace(QLORA, upcast=True, amp=False, **in_bytes()),
    "trl": replace(QLORA, **OF_TRL),
    "trl in bytes": replace(QLORA, **OF_TRL, **in_bytes()),
    "fp4": replace(QLORA, weights="fp4", model=TIED),
    "eight billion": replace(QLORA, model=LLAMA, double_quant=True, **in_bytes(8)),
}
WHOLE = {
    "trl trains all": replace(LORA, method="full", lora=None, gradients="bf16", optimizer_states="bf16", stack=TRL),
    "trl trains all, tied": replace(
        MIXED, method="full", lora=None, gradients="bf16", optimizer_states="bf16", stack=TRL, model=TIED
    ),
    "micro-batches of all": replace(
        MIXED, method="full", lora=None, gradients="bf16", optimizer_states="bf16", gradient_accumulation=3
    ),
}


@pytest.mark.parametrize("setting", ADAPTERS.values(), ids=ADAPTERS)
def test_adapters_are_in_the_units_of_their_layers(setting: Setting) -> None:
    agree(setting)


@pytest.mark.parametrize("setting", PACKED.values(), ids=PACKED)
def test_packed_weights_are_cut_where_they_are_no_bytes(setting: Setting) -> None:
    agree(setting)


@pytest.mark.parametrize("setting", WHOLE.values(), ids=WHOLE)
def test_gradients_that_wait_and_a_loss_that_reads_the_output_weight(setting: Setting) -> None:
    agree(setting)
