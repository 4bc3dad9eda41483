"""Scenarios among which every declared input is varied, by the fields that a person would write."""

from __future__ import annotations

from collections.abc import Mapping

Flags = Mapping[str, str]

SMALL = "HuggingFaceTB/SmolLM2-135M"
EXPERTS = "ibm-granite/granite-3.1-1b-a400m-base"
RECURRENT = "Qwen/Qwen3.5-0.8B"
WINDOWED = "mistralai/Mistral-7B-v0.1"
CLASSIFIER = {"model": "FacebookAI/roberta-base", "head": "sequence-classification"}

_SIZES = {"model": SMALL, "weights": "bf16", "batch_size": "2", "sequence_length": "512"}
_TRAINED = {
    **_SIZES,
    "method": "full",
    "optimizer": "adamw",
    "gradient_accumulation": "1",
    "gradient_checkpointing": "false",
    "amp": "false",
    "stack.trainer": "transformers",
}
_MIXED = {**_TRAINED, "weights": "fp32", "amp": "true"}
_ADAPTERS = {"lora.rank": "16", "lora.alpha": "32", "lora.targets": "[q_proj, v_proj]", "lora.dropout": "0.0"}
_LORA = {**_TRAINED, "method": "lora", **_ADAPTERS}
_QLORA = {**_LORA, "method": "qlora", "weights": "nf4", "amp": "true", "gradient_checkpointing": "reentrant"}
_ANSWERED = {**_SIZES, "method": "inference", "generated_length": "64", "stack.trainer": "transformers"}
_SERVED = {**_ANSWERED, "stack.trainer": "vllm", "stack.vllm": "0.11.0", "gpu": "RTX 4090"}
_PACKED = {**_TRAINED, "attention": "flash", "packing": "padding-free", "samples_per_row": "100"}
_GALORE = {**_TRAINED, "galore.rank": "16", "galore.targets": "[mlp]"}
_OLD_GPTQ = {**_ANSWERED, "weights": "gptq-int4", "compute": "fp16", "desc_act": "true", "stack.transformers": "4.40.0"}
_OLD_AWQ = {
    **_ANSWERED, "model": WINDOWED, "weights": "awq-int4", "compute": "fp16", "stack.trainer": "autoawq",
    "stack.autoawq": "0.1.6", "stack.transformers": "4.35.2",
}  # fmt: skip
_QUANTIZED_CACHE = {**_ANSWERED, "sequence_length": "3000", "cache.implementation": "quantized"}
_LLAMA = {"model": "meta-llama/Llama-3.2-1B", "gradient_checkpointing": "true"}
_MEGATRON = {
    **_TRAINED, "master_weights": "fp32", "gradients": "fp32", "optimizer_states": "fp32", "stack.trainer": "megatron",
}  # fmt: skip
_TITAN = {"model": "meta-llama/Llama-3.1-8B", "gradient_checkpointing": "true"}


_SCHEDULED = {
    **_TRAINED, "model": "mistralai/Mistral-7B-v0.1", "stack.trainer": "plain", "gradient_accumulation": "4",
    "parallel.gpus": "2", "parallel.strategy": "pipeline", "sequence_length": "4096", "stack.loss": "from-logits",
}  # fmt: skip


def _spread(base: Flags, strategy: str, gpus: int = 2, **more: str) -> Flags:
    return {**base, "parallel.gpus": str(gpus), "parallel.strategy": strategy, **more}


TRAINING: dict[str, Flags] = {
    "full": _TRAINED,
    "mixed": _MIXED,
    "long": {**_MIXED, "sequence_length": "4096"},
    "with master weights": {**_TRAINED, "master_weights": "fp32"},
    "checkpointed": {**_TRAINED, "gradient_checkpointing": "reentrant"},
    "padded": {**_TRAINED, "padding": "true", "attention": "eager"},
    "packed": _PACKED,
    "packed by trl": {**_PACKED, "stack.trainer": "trl", "stack.loss": "chunked"},
    "validated": {**_MIXED, "validation.batch_size": "8", "validation.kept_batches": "2"},
    "validated in a loop": {**_TRAINED, "stack.trainer": "plain", "validation.batch_size": "8"},
    "fused loss": {**_TRAINED, "stack.loss": "fused", "sequence_length": "8192"},
    "experts": {**_TRAINED, "model": EXPERTS, "gradient_checkpointing": "true"},
    "recurrent": {**_TRAINED, "model": RECURRENT},
    "classifier": {**_TRAINED, **CLASSIFIER, "labels": "2", "master_weights": "fp32"},
    "adapted classifier": {**_LORA, **CLASSIFIER, "labels": "2", "lora.targets": "[query]"},
    "preferences": {**_TRAINED, "stack.trainer": "trl", "stack.loss": "chunked", "objective": "dpo"},
    "rewarded": {
        **_TRAINED,
        "stack.trainer": "trl",
        "stack.loss": "chunked",
        "objective": "grpo",
        "answer_length": "64",
    },
    "beside a cache": {**_TRAINED, "stack.trainer": "plain", "stack.transformers": "4.46.3"},
    "muon": {**_TRAINED, "optimizer": "muon"},
    "galore": {**_GALORE, "optimizer": "galore_adamw"},
    "8-bit galore": {**_GALORE, "optimizer": "galore_adamw_8bit"},
    "lora": _LORA,
    "all of lora": {**_LORA, "lora.targets": "all-linear", "amp": "true", "lora.dropout": "0.1"},
    "lora of blocks": {**_LORA, "lora.blocks": "2", "lora.blocked_a": "[q_proj]", "lora.blocked_b": "[v_proj]"},
    "qlora": _QLORA,
    "qlora of trl": {**_QLORA, "stack.trainer": "trl"},
    "plain qlora": {**_QLORA, "amp": "false"},
    "8-bit lora": {**_LORA, "weights": "int8", "amp": "true"},
    "gptq lora": {**_QLORA, "weights": "gptq-int4", "compute": "fp16", "kernels.gptq": "triton"},
    "litgpt with lora": {**_LORA, "stack.trainer": "litgpt", "stack.loss": "cross-entropy"},
    "torchtune": {**_LORA, **_LLAMA, "stack.trainer": "torchtune"},
}
SPREAD: dict[str, Flags] = {
    **{name: _spread(_TRAINED, name) for name in ("ddp", "fsdp", "fsdp2", "zero1", "zero2", "zero3")},
    "mixed fsdp": _spread(_MIXED, "fsdp"),
    "mixed fsdp of 16 bits": _spread({**_TRAINED, "amp": "true"}, "fsdp"),
    "fsdp in 8 bit": _spread({**_TRAINED, "optimizer": "adamw_8bit"}, "fsdp"),
    "fsdp with qlora of older peft": _spread({**_QLORA, "stack.peft": "0.11.0"}, "fsdp"),
    "mixed fsdp2": _spread(_MIXED, "fsdp2"),
    "fsdp2 with qlora": _spread(_QLORA, "fsdp2"),
    "offloaded fsdp": _spread(_MIXED, "fsdp", **{"parallel.offload": "true"}),
    "fsdp with lora": _spread(_LORA, "fsdp"),
    "zero3 with lora": _spread(_LORA, "zero3"),
    "short zero2": _spread({**_MIXED, "sequence_length": "16"}, "zero2"),
    "short zero3": _spread({**_TRAINED, "sequence_length": "16"}, "zero3"),
    "torchtitan": _spread({**_MIXED, **_TITAN, "stack.trainer": "torchtitan"}, "fsdp2", 8),
    "pipeline": _spread(_ANSWERED, "pipeline", 3),
    "megatron": _spread(_MEGATRON, "distributed-optimizer"),
    "megatron in stages": {**_spread(_MEGATRON, "pipeline"), "parallel.schedule": "1f1b", "gradient_accumulation": "4"},
    "schedule": {**_SCHEDULED, "parallel.schedule": "1f1b", "parallel.returns_outputs": "false"},
    "results of a schedule": {**_SCHEDULED, "parallel.schedule": "gpipe", "sequence_length": "2048"},
    "tensor": _spread(_ANSWERED, "tensor", 3),
    "served by two": _spread({**_SERVED, "model": "meta-llama/Llama-3.2-1B"}, "tensor"),
}
ANSWERING: dict[str, Flags] = {
    "answered": _ANSWERED,
    "read": {**_ANSWERED, "generated_length": "0"},
    "read long ago": {**_ANSWERED, "generated_length": "0", "stack.transformers": "4.40.0"},
    "passed over": {**_ANSWERED, "generated_length": "0", "stack.trainer": "plain"},
    "decoded by a loop": {**_ANSWERED, "stack.trainer": "plain"},
    "decoded by a loop long ago": {**_ANSWERED, "stack.trainer": "plain", "stack.transformers": "4.44.2"},
    "answered with adapters": {**_ANSWERED, **_ADAPTERS, "sequence_length": "4096"},
    "read with adapters in 4 bit": {**_ANSWERED, **_ADAPTERS, "weights": "nf4", "generated_length": "0"},
    "recurrent, answered": {**_ANSWERED, "model": RECURRENT},
    "litgpt": {**_ANSWERED, "stack.trainer": "litgpt", "batch_size": "1"},
    "old gptq": _OLD_GPTQ,
    "exllama": {**_OLD_GPTQ, "kernels.gptq": "exllama"},
    "old awq": {**_OLD_AWQ, "engine.max_new_tokens": "600"},
    "static cache": {**_ANSWERED, "cache.implementation": "static", "cache.max_cache_len": "2000"},
    "quanto's cache": {**_QUANTIZED_CACHE, "cache.backend": "quanto"},
    "hqq's cache": {**_QUANTIZED_CACHE, "cache.backend": "hqq"},
    "vllm": _SERVED,
    "older vllm": {**_SERVED, "stack.vllm": "0.7.3"},
    "windowed vllm": {**_SERVED, "model": WINDOWED, "gpu": "H200"},
    "classified": {**_ANSWERED, **CLASSIFIER, "labels": "2", "generated_length": "0"},
}
_NEEDED: dict[str, Flags] = {
    "adamss": {"peft.targets": "[q_proj, v_proj]", "peft.rank": "20"},
    "adaption_prompt": {"peft.adapter_len": "10", "peft.adapter_layers": "5"},
    "c3a": {"peft.block_size": "64"},
    "deft": {"peft.targets": "[q_proj, v_proj]"},
    "glora": {"peft.targets": "[q_proj, v_proj]"},
    "ia3": {"peft.targets": "[k_proj, v_proj, down_proj]", "peft.feedforward_modules": "[v_proj]"},
    "lily": {"peft.targets": "[q_proj, v_proj]"},
    "osf": {"peft.targets": "[q_proj, v_proj]"},
    "p_tuning": {"peft.num_virtual_tokens": "20"},
    "prefix_tuning": {"peft.num_virtual_tokens": "20", "peft.prefix_projection": "true"},
    "psoft": {"peft.targets": "[q_proj, v_proj]", "stack.trainer": "plain"},
    "prompt_tuning": {"peft.num_virtual_tokens": "20"},
    "pvera": {"peft.targets": "[q_proj, v_proj]"},
    "trainable_tokens": {"peft.num_tokens": "10"},
    "unilora": {"peft.targets": "[q_proj, v_proj]"},
    "vblora": {"peft.vector_length": "64", "peft.num_vectors": "60"},
}
_METHODS = (
    "beft", "boft", "delora", "fourierft", "gralora", "hira", "hra", "ln_tuning", "loha", "lokr", "miss", "oft",
    "peanut", "randlora", "road", "tinylora", "vera",
)  # fmt: skip
TUNED: dict[str, Flags] = {
    **{name: {**_TRAINED, "method": name} for name in _METHODS},
    **{name: {**_TRAINED, "method": name, **more} for name, more in _NEEDED.items()},
    "glora of biases": {**_TRAINED, **_NEEDED["glora"], "method": "glora", "model": "Qwen/Qwen2.5-0.5B"},
    "miss mini": {**_TRAINED, "method": "miss", "peft.form": "mini"},
    "lokr of small rank": {**_TRAINED, "method": "lokr", "peft.rank": "4"},
}
BASES: dict[str, Flags] = {**TRAINING, **SPREAD, **ANSWERING, **TUNED}
