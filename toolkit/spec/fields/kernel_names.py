"""The names of kernels that a spec may use, each with what it means."""

from __future__ import annotations

ADAPTER_KERNELS = {
    "unsloth": "q, k and v with their adapters in one operation, the output projection in another (LoRA_QKV, LoRA_W)",
    "axolotl": "as unsloth, and gate, up and down in a third (lora_qkv_kernel, lora_o_kernel, lora_mlp_kernel)",
    "masked": "as unsloth, with the gradients of the adapters' inputs masked by their dropout (fms-acceleration)",
}
LIGER_PLACES = {
    "classes": "patched into the classes before the model is made, as axolotl and LLaMA-Factory do; the same as true",
    "instance": "patched into an existing model, as Trainer and TRL do (use_liger_kernel)",
}
FSDP_IGNORES = frozenset({"unsloth", "masked"})
"""Kernels whose adapters FSDP ignores, so that each GPU holds all of them (fms-acceleration)."""
EXPERT_KERNELS = {
    "scattermoe": "ScatterMoE, in the module by which fms-acceleration's accelerated-moe replaces a mixture",
}
LINEAR_ATTENTION_KERNELS = {
    "torch": "transformers' own operations, which run where flash-linear-attention is not installed",
    "fla": "the Triton kernels of flash-linear-attention",
}
CONVOLUTION_KERNELS = {
    "torch": "torch's conv1d, which runs where causal-conv1d is not installed",
    "causal-conv1d": "the kernel of causal-conv1d",
}
MATH = "math"
SDPA_KERNELS = {
    MATH: "torch's own operations in float32; until 2.13 grouped heads take it on Windows, which has no flash kernel",
}
GPTQ_KERNELS = {
    "triton": "training: dequantizes a weight for each product (triton v2 of auto-gptq, and of gptqmodel before 2.1)",
    "torch": "training: dequantizes a weight by torch's operators and keeps it for backward (gptqmodel since 2.1)",
    "cuda-old": "inference: multiplies few rows by packed weights, dequantizes a weight for more (auto-gptq's first)",
    "unpacked": "inference: dequantizes a weight for every product (auto-gptq's first, without its CUDA extension)",
    "exllama": "inference: multiplies by packed weights, or by one dequantized into a buffer (auto-gptq's ExLlama)",
    "exllamav2": "inference: ExLlamaV2 as auto-gptq sets it up, with buffers for eight sequences of 2,048 tokens",
}
AWQ_KERNELS = {
    "gemm": "multiplies by an eighth of the inputs at a time, whatever the number of rows",
    "gemv": "the same for more than eight rows, and a kernel of its own for fewer; its scales are padded",
}
