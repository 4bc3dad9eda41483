"""The names of kernels that a spec may use, each with what it means."""

from __future__ import annotations

ADAPTER_KERNELS = {
    "unsloth": "q, k and v with their adapters are one operation, the output projection another (LoRA_QKV, LoRA_W)",
    "axolotl": "these, and gate, up and down another (axolotl's lora_qkv_kernel, lora_o_kernel, lora_mlp_kernel)",
    "masked": "as by unsloth, masking what flows back through adapters by their dropped inputs (fms-acceleration)",
}
LIGER_PLACES = {
    "classes": "put in before the model is made, as axolotl and LLaMA-Factory do: what true means",
    "instance": "put into a model that is there, as Trainer and TRL do (use_liger_kernel)",
}
FSDP_IGNORES = frozenset({"unsloth", "masked"})
"""Kernels with which FSDP leaves adapters out, so that each GPU has all of them (fms-acceleration)."""
EXPERT_KERNELS = {
    "scattermoe": "ScatterMoE, by the module that fms-acceleration's accelerated-moe puts in the place of a mixture",
}
LINEAR_ATTENTION_KERNELS = {
    "torch": "transformers' own operations, as where flash-linear-attention is not installed",
    "fla": "the Triton kernels of flash-linear-attention",
}
CONVOLUTION_KERNELS = {
    "torch": "torch's conv1d, as where causal-conv1d is not installed",
    "causal-conv1d": "the kernel of causal-conv1d",
}
MATH = "math"
SDPA_KERNELS = {
    MATH: "torch's own operations in float32: of grouped heads on Windows, where torch has no flash kernel, until 2.13",
}
GPTQ_KERNELS = {
    "triton": "writes a weight out for each product (triton v2 of auto-gptq, of gptqmodel before 2.1), in training",
    "torch": "unpacks a weight by torch's operators, and keeps it for backward (gptqmodel since 2.1), in training",
    "cuda-old": "multiplies few rows as packed, and writes a weight out for more (auto-gptq's first), to generate",
    "exllama": "multiplies by weights as packed, or written out into room for one (auto-gptq's ExLlama), to generate",
    "exllamav2": "ExLlamaV2 as auto-gptq sets it up, with room for eight sequences of 2,048 tokens, to generate",
}
AWQ_KERNELS = {
    "gemm": "multiplies by an eighth of the inputs at a time, whatever the rows",
    "gemv": "the same of more than eight rows, and of fewer by a kernel of its own; its scales are padded",
}
