"""Words of published records, in the spellings that people use, become ours; what may mean two things becomes none."""

from __future__ import annotations

from typing import Any

import pytest

from toolkit.accuracy.convert.vocabulary import gpu_of, model_of, vocabulary
from toolkit.accuracy.convert.words import (
    attention_of,
    compute_of,
    is_default_optimizer,
    method_of,
    optimizer_of,
    strategy_of,
    weights_of,
)
from toolkit.spec.fields import names


@pytest.mark.parametrize(
    ("published", "meant"),
    [
        ("torch.bfloat16", "bf16"), ("half", "fp16"), ("float32 (default)", "fp32"), ("fp16/bf16 not stated", None),
        ("bitsandbytes 4-bit nf4", "nf4"), ("bnb 4bit", ("nf4", "fp4")), ("LLM.int8() (bnb 8-bit)", "int8"),
        ("GPTQ 8-bit", "gptq-int8"), ("GPTQ-128g 4.15 bits", "gptq-int4"), ("GPTQ 3-bit", None),
        ("AWQ int4", "awq-int4"),
        ("hqq 4-bit g64", None), ("GGUF Q4_K_M", None), ("float8 linear", None), ("FP8", "fp8"),
        ("int8 KV cache", None),
        ("mxfp4", "mxfp4"), ("nvfp4", None), ("8-bit", None),
    ],
)  # fmt: skip
def test_forms_of_weights(published: str, meant: object) -> None:
    assert weights_of(published) == meant


@pytest.mark.parametrize(
    ("kind", "meant"),
    [
        ("DeepSpeed ZeRO stage 2", ("zero2", False)), ("deepspeed_stage_3 + CPU offload", ("zero3", True)),
        ("ZeRO-3, no offload", ("zero3", False)), ("FSDP2 (fully_shard)", ("fsdp2", False)),
        ("PyTorch FSDP", ("fsdp", False)), ("torch DistributedDataParallel", ("ddp", False)),
        ("Tensor Parallel", ("tensor", False)), ("TP 2 x PP 4", (None, False)), ("FSDP 8 x TP 2", (None, False)),
        ("FSDP (NO_SHARD)", (None, False)), ("8 GPUs (device_map/TP not stated)", (None, False)),
        ("device_map auto", ("pipeline", False)), ("Megatron TP2PP2", (None, False)),
    ],
)  # fmt: skip
def test_ways_to_share_a_run(kind: str, meant: tuple[str | None, bool]) -> None:
    assert strategy_of(kind) == meant


@pytest.mark.parametrize(
    ("read", "published", "meant"),
    [
        (optimizer_of, 'AdamW {"lr": 0.001}', "adamw"), (optimizer_of, "torch.optim.SGD (lr 0.1)", "sgd"),
        (optimizer_of, "paged_adamw_8bit", "paged_adamw_8bit"), (optimizer_of, "Muon + AdamW", None),
        (optimizer_of, "SomethingNew", None), (method_of, "QLoRA fine-tuning", "qlora"), (method_of, "DoRA", "lora"),
        (method_of, "Q-DoRA", "qlora"), (method_of, "qdora", "qlora"),
        (is_default_optimizer, "Trainer's default", True), (is_default_optimizer, "SFTTrainer default optimizer", True),
        (is_default_optimizer, "default", True),
        (is_default_optimizer, "default AdamW", False), (is_default_optimizer, "DeepSpeed's default", False),
        (method_of, "PPO with LoRA", None), (method_of, "text generation", "inference"), (method_of, "SFT", "full"),
        (attention_of, "torch SDPA backend", "sdpa"), (attention_of, "sdpa (flash_attention: false)", "sdpa"),
        (attention_of, "PyTorch SDPA (flash kernel)", "sdpa"), (attention_of, "use_flash_attn=False, eager", "eager"),
        (attention_of, "attention (FlashAttention-2)", "flash"), (attention_of, "flash_attention: false", None),
        (attention_of, "flash_attention_2 or not (both)", ("flash", "sdpa")),
        (attention_of, "xformers", None), (compute_of, "bf16 (autocast)", ("bf16", True)),
        (compute_of, "bf16+fp8", (None, False)), (compute_of, "amp", (None, True)),
        (gpu_of, "8 x NVIDIA A100-SXM4-80GB", "A100 SXM4 80GB"), (gpu_of, "4090 + 3090 Ti", None),
        (gpu_of, "NVIDIA GeForce RTX 4090 (24564 MiB)", "GeForce RTX 4090"),
        (gpu_of, "NVIDIA GeForce RTX 4090 (49140 MiB)", None), (gpu_of, "NVIDIA A800-SXM (81920 MiB)", "A800 80GB"),
        (gpu_of, "2x NVIDIA RTX 3090 (48 GB)", "GeForce RTX 3090"),
        (gpu_of, "RTX 2060 8GB", None), (model_of, "TheBloke/Llama-2-7B-Chat-GPTQ", "meta-llama/Llama-2-7b-chat-hf"),
        (model_of, "Llama 3.1 8B", "meta-llama/Llama-3.1-8B"), (model_of, "nobody/unknown-3B", "nobody/unknown-3B"),
    ],
)  # fmt: skip
def test_names_become_ours_or_none(read: Any, published: str, meant: object) -> None:
    assert read(published) == meant


def test_words_of_frameworks_are_trainers_of_ours() -> None:
    assert set(vocabulary()["frameworks"].values()) <= set(names.TRAINERS)
